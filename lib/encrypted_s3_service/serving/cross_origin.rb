# frozen_string_literal: true

module EncryptedS3Service
  module Serving
    # Requests from the origins in `config.encrypted_s3_service.cors_origins` (the CORS protocol of
    # https://fetch.spec.whatwg.org/#http-cors-protocol). The URL itself is the permission, so credentials are not
    # allowed.
    module CrossOrigin
      # Response headers that scripts may read.
      EXPOSED = %w[Accept-Ranges Content-Disposition Content-Length Content-Range ETag].join(", ").freeze

      # Ports that are not part of an origin, by scheme.
      DEFAULT_PORTS = { "http" => ":80", "https" => ":443" }.freeze
      private_constant :DEFAULT_PORTS

      # Rails' own controllers, to which the links in a page lead.
      RAILS_CONTROLLERS = %w[Blobs Representations].flat_map do |kind|
        %w[Redirect Proxy].map { |way| "ActiveStorage::#{kind}::#{way}Controller" }
      end.freeze

      class << self
        # @param origin [String, nil] the request's Origin header
        # @return [Hash{String => String}] response headers; empty when no origins are configured
        def headers(origin)
          return {} if entries.empty?

          # The response depends on the origin, so caches must store one per origin.
          return { "Vary" => "Origin" } unless listed?(origin)

          { "Access-Control-Allow-Origin" => origin, "Vary" => "Origin", "Access-Control-Expose-Headers" => EXPOSED }
        end

        # @param origin [String, nil] the request's Origin header
        # @return [Boolean] whether the application allows this origin
        def listed?(origin) = !origin.nil? && entries.any? { |entry| allows?(entry, origin) }

        private

        def entries = Array(EncryptedS3Service.settings.cors_origins)

        def allows?(entry, origin)
          return Regexp.new("\\A(?:#{entry.source})\\z", entry.options).match?(origin) if entry.is_a?(Regexp)

          entry == "*" || as_sent(entry).casecmp?(origin)
        end

        # Browsers omit the default port.
        def as_sent(entry) = entry.delete_suffix(DEFAULT_PORTS.fetch(entry[/\A[a-z]+/i].to_s.downcase, ""))
      end

      # Rack application for preflight requests (`OPTIONS`).
      class Preflight
        # Seconds that browsers may cache the response. They cap longer values.
        KEPT = 7200
        private_constant :KEPT

        # @param methods [Array<String>] allowed HTTP methods
        # @param headers [Array<String>] allowed request headers
        def initialize(methods, headers)
          @headers = { "Access-Control-Allow-Methods" => methods.join(", "), "Access-Control-Max-Age" => KEPT.to_s,
                       "Access-Control-Allow-Headers" => headers.join(", ") }
        end

        # @param env [Hash] Rack's
        # @return [Array] a Rack response: 204, or 404 when the origin is not listed
        def call(env)
          granted = CrossOrigin.headers(env["HTTP_ORIGIN"])
          # The application's own routes may handle it.
          return [404, { "x-cascade" => "pass" }, []] unless granted.key?("Access-Control-Allow-Origin")

          [204, granted.except("Access-Control-Expose-Headers").merge(@headers).transform_keys(&:downcase), []]
        end
      end

      # For controllers. Runs before all other callbacks, so that scripts can also read the response of a refused
      # request.
      # @api private
      module Answers
        extend ActiveSupport::Concern

        included { prepend_before_action { allow_listed_origin } }

        private

        def allow_listed_origin
          granted = CrossOrigin.headers(request.get_header("HTTP_ORIGIN"))
          vary = [response.headers["Vary"], granted["Vary"]].compact.join(", ").presence
          response.headers.merge!(granted)
          response.headers["Vary"] = vary if vary
        end
      end
    end
  end
end
