# frozen_string_literal: true

require "net/http"
require "openssl"
require "uri"

module EncryptedS3Service
  class Doctor
    # Where the bucket is on the network, and plain requests to it. They have no signature unless they are given one.
    # @api private
    class StoreAddress
      # What a request that gets no answer raises.
      NETWORK_ERRORS = [SystemCallError, SocketError, IOError, Timeout::Error, OpenSSL::SSL::SSLError,
                        Net::ProtocolError, Net::HTTPBadResponse].freeze

      # Seconds to wait for a connection, or for an answer to begin or go on.
      PATIENCE = 10

      # @return [String] for signatures
      attr_reader :region

      # @param configuration [Configuration]
      def initialize(configuration)
        native = configuration.to_native
        @bucket = native.fetch(:bucket)
        @region = native[:region] || first_of("AWS_REGION", "AWS_DEFAULT_REGION") || "us-east-1"
        @base = URI(native[:endpoint] || first_of("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL") || amazon)
        @in_path = native[:force_path_style] || in_path?
        @ca_bundle = native[:ca_bundle]
      end

      # @return [URI::HTTP] of the store
      def root = @base.dup.tap { |uri| uri.path = "/" if uri.path.empty? }

      # @param key [String]
      # @return [URI::HTTP] of an object, whether it is there or not
      def object(key)
        folder = @base.path.chomp("/")
        @base.dup.tap do |uri|
          uri.host = "#{@bucket}.#{@base.host}" unless @in_path
          uri.path = [folder, (@bucket if @in_path), key].compact.join("/")
          uri.path = "/#{uri.path}" unless uri.path.start_with?("/")
        end
      end

      # @param verb [String] `GET`, `POST`, …
      # @param uri [URI::HTTP]
      # @param headers [Hash{String => String}]
      # @return [Net::HTTPResponse]
      # @raise [SystemCallError, StandardError] one of {NETWORK_ERRORS}
      def request(verb, uri, headers = {})
        request = Net::HTTPGenericRequest.new(verb, false, true, uri.request_uri, { "accept-encoding" => "identity" })
        headers.each { |name, value| request[name] = value }
        # No proxy, as for the transfers themselves.
        http = Net::HTTP.new(uri.hostname, uri.port, nil)
        http.use_ssl = uri.scheme == "https"
        http.ca_file = @ca_bundle if @ca_bundle
        http.open_timeout = http.read_timeout = PATIENCE
        http.max_retries = 0
        http.start { http.request(request) }
      end

      private

      def first_of(*names) = ENV.values_at(*names).find { |value| !value.to_s.empty? }

      def amazon = "https://s3.#{@region}.amazonaws.com#{".cn" if @region.start_with?("cn-")}"

      # As Amazon's SDKs choose: a bucket's name cannot stand before an address, and one with dots has no certificate.
      def in_path? = @base.host.match?(/\A[\d.]+\z|\A\[/) || (@base.scheme == "https" && @bucket.include?("."))
    end
  end
end
