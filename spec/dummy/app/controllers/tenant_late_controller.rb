# frozen_string_literal: true

# Finds its customer after the service was chosen.
class TenantLateController < ActionController::Base
  include EncryptedS3Service::Controller
  include FindsOrganisation

  def create
    render json: { service: Document.create!(file: params.require(:file)).file.blob.service_name }
  end
end
