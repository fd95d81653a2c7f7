# frozen_string_literal: true

require_relative "../../serving/host"
require_relative "../check"

module EncryptedS3Service
  class Doctor
    class Application
      # Whether addresses of files can be made outside of requests: in jobs, mailers and consoles.
      # @api private
      class HostCheck < Check
        SUBJECT = "host of addresses"
        private_constant :SUBJECT

        # Needs no service.
        def initialize = super(nil)

        # @return [Finding]
        def call
          name, options = Serving::Host.found
          return ok(SUBJECT, "#{options[:host]}, of #{name}, outside of requests") if name

          warning SUBJECT, "unknown outside of requests: addresses cannot be made in jobs, mailers and consoles. Set " \
                           "config.encrypted_s3_service.default_url_options"
        end
      end
    end
  end
end
