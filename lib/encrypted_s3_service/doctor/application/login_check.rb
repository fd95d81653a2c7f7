# frozen_string_literal: true

require_relative "../check"

module EncryptedS3Service
  class Doctor
    class Application
      # Checks whether files have another protection than signed URLs.
      # @api private
      class LoginCheck < Check
        SUBJECT = "login"
        # Classes of Rails, which require no login.
        OPEN = %w[ActionController::Base ActionController::API ActiveStorage::BaseController].freeze
        private_constant :SUBJECT, :OPEN

        # @param settings [Engine::Settings]
        def initialize(settings = EncryptedS3Service.settings)
          super(nil)
          @settings = settings
        end

        # @return [Finding]
        def call
          name = @settings.base_controller.to_s.delete_prefix("::")
          return ok(SUBJECT, "the callbacks of #{name} protect files") unless OPEN.include?(name)

          hint SUBJECT, "anybody with a signed URL can read its file until the URL expires, as with Active " \
                        "Storage. To require a login, set config.encrypted_s3_service.base_controller"
        end
      end
    end
  end
end
