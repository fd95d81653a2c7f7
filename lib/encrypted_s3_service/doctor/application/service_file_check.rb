# frozen_string_literal: true

require_relative "../check"

module EncryptedS3Service
  class Doctor
    class Application
      # Checks that `service: EncryptedS3` means this gem's service and not another file of the same name.
      # @api private
      class ServiceFileCheck < Check
        SUBJECT = "service"
        private_constant :SUBJECT

        # This check needs no service.
        def initialize = super(nil)

        # @return [Finding]
        def call
          Engine::ServiceFile.check
          ok SUBJECT, "`service: EncryptedS3` is this gem's service"
        rescue ConfigurationError => e
          failed SUBJECT, e.message
        end
      end
    end
  end
end
