# frozen_string_literal: true

require_relative "check"
require_relative "store_address"

module EncryptedS3Service
  class Doctor
    # Whether anybody answers where the store should be. What is answered does not matter: the request has no signature.
    # @api private
    class EndpointCheck < Check
      SUBJECT = "endpoint"
      private_constant :SUBJECT

      # @return [Finding]
      def call
        uri = service.address.root
        status = service.address.request("GET", uri).code
        ok SUBJECT, "#{place(uri)} answers (#{status} to a request without a signature)"
      rescue *StoreAddress::NETWORK_ERRORS => e
        failed SUBJECT, "#{place(uri)} #{reason(e)}; check `endpoint`, `region` and the network"
      end

      private

      def place(uri) = "#{uri.scheme}://#{uri.host}:#{uri.port}"

      def reason(error)
        case error
        when Errno::ECONNREFUSED then "refuses connections"
        when SocketError then "has a host name that is not known"
        when OpenSSL::SSL::SSLError then "cannot be reached by TLS (is its certificate trusted? see `ssl_ca_bundle`)"
        when Timeout::Error, Errno::ETIMEDOUT then "does not answer within #{StoreAddress::PATIENCE} seconds"
        else "cannot be reached (#{error.class.name})"
        end
      end
    end
  end
end
