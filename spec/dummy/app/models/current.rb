# frozen_string_literal: true

# The context of a request or a job.
class Current < ActiveSupport::CurrentAttributes
  attribute :organisation, :person
end
