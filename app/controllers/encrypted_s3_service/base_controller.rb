# frozen_string_literal: true

module EncryptedS3Service
  # What the controllers of this gem have in common. It inherits from the class that
  # `config.encrypted_s3_service.base_controller` names, whose callbacks decide who may come in.
  class BaseController < EncryptedS3Service.settings.base_controller.constantize
    include ActiveStorage::SetCurrent
    include Serving::HandingOver
    include Serving::CrossOrigin::Answers
    include Serving::Refusals

    # The token is the permission, and Active Storage's JavaScript sends nothing else. Rails would also refuse to send
    # JavaScript files, which it takes for its own (as in ActiveStorage::DiskController).
    skip_forgery_protection if respond_to?(:skip_forgery_protection)

    # A cookie would keep the answer out of caches, and none is needed.
    before_action { request.session_options[:skip] = true }

    private

    # What the request's token says, of a service that is there.
    # @param purpose [Symbol] of Serving::Token
    # @param at [Time] when the request began
    # @return [Array(Hash, ActiveStorage::Service), nil] nil when the token is not valid
    def token_and_service(purpose, at: Time.now)
      token = Serving::Token.verify(request.path_parameters[:token], purpose: purpose, at: at) || return
      service = ActiveStorage::Blob.services.fetch(token[:service_name]) { return }
      [token, service] if service.is_a?(ActiveStorage::Service::EncryptedS3Service)
    end
  end
end
