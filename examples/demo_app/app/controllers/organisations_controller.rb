# frozen_string_literal: true

# The switch on the page that selects the customer.
class OrganisationsController < ApplicationController
  # Changes the customer of the session. An application with logins must not offer this.
  # @return [void]
  def update
    session[:organisation_id] = Organisation.find(params[:id]).id
    redirect_to documents_path
  end
end
