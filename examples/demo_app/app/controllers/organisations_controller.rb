# frozen_string_literal: true

# The switch on the page: which customer one is.
class OrganisationsController < ApplicationController
  # Makes the session another customer's. An application with logins would not let people choose.
  # @return [void]
  def update
    session[:organisation_id] = Organisation.find(params[:id]).id
    redirect_to documents_path
  end
end
