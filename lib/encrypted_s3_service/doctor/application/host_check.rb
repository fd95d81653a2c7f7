# frozen_string_literal: true

require_relative "../../serving/host"
require_relative "../check"

module EncryptedS3Service
  class Doctor
    class Application
      # Checks that URLs of files can be made outside of requests: in jobs, mailers and consoles.
      # @api private
      class HostCheck < Check
        SUBJECT = "host of URLs"
        private_constant :SUBJECT

        # This check needs no service.
        def initialize = super(nil)

        # @return [Finding]
        def call
          name, options = Serving::Host.found
          return ok(SUBJECT, "#{options[:host]} outside of requests, from #{name}") if name

          warning SUBJECT, "unknown outside of requests: URLs cannot be made in jobs, mailers and consoles. Set " \
                           "config.encrypted_s3_service.default_url_options"
        end
      end
    end
  end
end
