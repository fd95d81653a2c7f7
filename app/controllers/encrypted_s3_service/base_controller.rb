# frozen_string_literal: true

module EncryptedS3Service
  # Base class of this gem's controllers. It inherits from `config.encrypted_s3_service.base_controller`, whose
  # callbacks authenticate and authorize requests.
  class BaseController < EncryptedS3Service.settings.base_controller.constantize
    include ActiveStorage::SetCurrent
    include Serving::HandingOver
    include Serving::CrossOrigin::Answers
    include Serving::Refusals

    # The token is the permission, and Active Storage's JavaScript sends nothing else. With forgery protection Rails
    # would also refuse to serve JavaScript files (see ActiveStorage::DiskController).
    skip_forgery_protection if respond_to?(:skip_forgery_protection)

    # No session is needed, and a cookie would make the response uncacheable.
    before_action { request.session_options[:skip] = true }

    private

    # Verifies the request's token and looks up its service.
    # @param purpose [Symbol] a purpose of Serving::Token
    # @param at [Time] when the request began
    # @return [Array(Hash, ActiveStorage::Service), nil] payload and service; nil when the token is not valid
    def token_and_service(purpose, at: Time.now)
      token = Serving::Token.verify(request.path_parameters[:token], purpose: purpose, at: at) || return
      service = ActiveStorage::Blob.services.fetch(token[:service_name]) { return }
      # The URL of a file of a tenant's mirror names the mirror; its first part is the primary.
      service = ServiceParts.new(service).to_a.first
      [token, service] if ServiceParts.encrypts?(service)
    end
  end
end
