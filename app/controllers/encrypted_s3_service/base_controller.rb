# frozen_string_literal: true

module EncryptedS3Service
  # What the controllers of this gem have in common. It inherits from the class that
  # `config.encrypted_s3_service.base_controller` names, whose callbacks decide who may come in.
  class BaseController < EncryptedS3Service.settings.base_controller.constantize
    include ActiveStorage::SetCurrent

    rescue_from ActiveStorage::FileNotFoundError, with: :not_found

    # A cookie would keep the answer out of caches, and none is needed.
    before_action { request.session_options[:skip] = true }

    private

    # What the request's token says, of a service that is there.
    # @param purpose [Symbol] of Serving::Token
    # @return [Array(Hash, ActiveStorage::Service), nil] nil when the token is not valid
    def token_and_service(purpose)
      token = Serving::Token.verify(request.path_parameters[:token], purpose: purpose) || return
      service = ActiveStorage::Blob.services.fetch(token[:service_name]) { return }
      [token, service] if service.is_a?(ActiveStorage::Service::EncryptedS3Service)
    end

    def not_found
      refuse(404)
    end

    # An answer without a body that nobody keeps.
    # @param status [Integer]
    # @param headers [Hash{String => String}]
    # @return [void]
    def refuse(status, headers = {})
      response.headers.merge!(headers)
      response.headers["Cache-Control"] = "no-store"
      head status
    end
  end
end
