# frozen_string_literal: true

# Finds the customer of a request, in the controllers of the application and of Active Storage. A real application would
# use the login. The demo uses a switch on the page.
module FindsOrganisation
  extend ActiveSupport::Concern

  included do
    before_action { Current.organisation = Organisation.find_by(id: session[:organisation_id]) || Organisation.first! }
  end
end
