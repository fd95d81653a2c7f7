# frozen_string_literal: true

require_relative "../check"

module EncryptedS3Service
  class Doctor
    class Application
      # Whether anything but a signed address stands before files.
      # @api private
      class LoginCheck < Check
        SUBJECT = "login"
        # Classes of Rails, which ask for none.
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
          return ok(SUBJECT, "callbacks of #{name} stand before files") unless OPEN.include?(name)

          hint SUBJECT, "whoever has a signed address gets its file until the address expires, as with Active " \
                        "Storage. To ask for a login, set config.encrypted_s3_service.base_controller"
        end
      end
    end
  end
end
