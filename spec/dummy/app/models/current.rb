# frozen_string_literal: true

# What a request or a job is about.
class Current < ActiveSupport::CurrentAttributes
  attribute :organisation, :person
end
