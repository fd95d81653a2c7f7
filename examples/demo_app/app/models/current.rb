# frozen_string_literal: true

# What a request is about.
class Current < ActiveSupport::CurrentAttributes
  attribute :organisation
end
