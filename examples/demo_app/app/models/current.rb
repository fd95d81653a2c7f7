# frozen_string_literal: true

# The customer of the current request.
class Current < ActiveSupport::CurrentAttributes
  attribute :organisation
end
