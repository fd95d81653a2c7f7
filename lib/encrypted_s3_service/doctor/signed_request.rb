# frozen_string_literal: true

require "openssl"
require_relative "../configuration/confidential"

module EncryptedS3Service
  class Doctor
    # Requests without a body, signed with AWS Signature Version 4: for what lies in the bucket as it is, and for what a
    # client has no method for.
    # @api private
    class SignedRequest
      include Confidential

      # The SHA-256 of no body.
      EMPTY = OpenSSL::Digest.hexdigest("SHA256", "").freeze
      private_constant :EMPTY

      # @param configuration [Configuration]
      # @param address [StoreAddress]
      # @return [SignedRequest, nil] nil when the credentials are neither in the settings nor in the environment
      def self.for(configuration, address)
        native = configuration.to_native
        given = native.values_at(:access_key_id, :secret_access_key, :session_token)
        unless given.first
          return if native[:profile]

          given = ENV.values_at("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")
        end
        new(address, *given) unless given.first(2).any? { |value| value.to_s.empty? }
      end

      # @param address [StoreAddress]
      # @param id [String]
      # @param secret [String]
      # @param token [String, nil]
      def initialize(address, id, secret, token)
        @address = address
        @id = id
        @secret = secret
        @token = token
      end

      # @param verb [String]
      # @param key [String] of plain characters: letters, digits and `._/-`
      # @param query [String, nil] as it stands in the URL, with its names in order
      # @return [Net::HTTPResponse]
      # @raise [SystemCallError, StandardError] one of {StoreAddress::NETWORK_ERRORS}
      def call(verb, key, query = nil)
        uri = @address.object(key).tap { |object| object.query = query }
        @address.request(verb, uri, sign(verb, uri, Time.now.utc.strftime("%Y%m%dT%H%M%SZ")))
      end

      private

      def public_attributes = {}

      def sign(verb, uri, time)
        headers = { "host" => host(uri), "x-amz-content-sha256" => EMPTY, "x-amz-date" => time,
                    "x-amz-security-token" => @token }.reject { |_, value| value.to_s.empty? }
        names = headers.keys.join(";")
        lines = headers.map { |name, value| "#{name}:#{value}" }
        canonical = [verb, uri.path, uri.query.to_s, *lines, "", names, EMPTY]
        scope = "#{time[0, 8]}/#{@address.region}/s3/aws4_request"
        text = ["AWS4-HMAC-SHA256", time, scope, OpenSSL::Digest.hexdigest("SHA256", canonical.join("\n"))].join("\n")
        headers.merge("authorization" => "AWS4-HMAC-SHA256 Credential=#{@id}/#{scope}, SignedHeaders=#{names}, " \
                                         "Signature=#{signature(scope, text)}")
      end

      def host(uri) = uri.port == uri.default_port ? uri.host : "#{uri.host}:#{uri.port}"

      def signature(scope, text)
        key = scope.split("/").inject("AWS4#{@secret}") { |secret, part| OpenSSL::HMAC.digest("SHA256", secret, part) }
        OpenSSL::HMAC.hexdigest("SHA256", key, text)
      end
    end
  end
end
