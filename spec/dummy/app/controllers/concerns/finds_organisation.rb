# frozen_string_literal: true

# Finds the customer of a request, in the application's controllers and in Active Storage's.
module FindsOrganisation
  extend ActiveSupport::Concern

  included do
    before_action { Current.organisation = Organisation.find_by(id: request.headers["x-organisation"]) }
    # As an authentication does.
    before_action { redirect_to new_document_path if request.headers["x-organisation"] == "to be chosen" }
  end
end
