# frozen_string_literal: true

# How a request tells whose it is, in the application's controllers and in Active Storage's. Who is asking is what a
# login would say; here a switch on the page does.
module FindsOrganisation
  extend ActiveSupport::Concern

  included do
    before_action { Current.organisation = Organisation.find_by(id: session[:organisation_id]) || Organisation.first! }
  end
end
