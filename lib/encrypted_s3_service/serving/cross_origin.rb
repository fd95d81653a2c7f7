# frozen_string_literal: true

module EncryptedS3Service
  module Serving
    # Pages of other origins, as far as `config.encrypted_s3_service.cors_origins` lists them (the CORS protocol of
    # https://fetch.spec.whatwg.org/#http-cors-protocol). The address itself is the permission, so no cookies are asked
    # for.
    module CrossOrigin
      # What scripts may read of an answer.
      EXPOSED = %w[Accept-Ranges Content-Disposition Content-Length Content-Range ETag].join(", ").freeze

      # Rails' own, whose routes the links in a page name.
      RAILS_CONTROLLERS = %w[Blobs Representations].flat_map do |kind|
        %w[Redirect Proxy].map { |way| "ActiveStorage::#{kind}::#{way}Controller" }
      end.freeze

      class << self
        # @param origin [String, nil] the request's
        # @return [Hash{String => String}] for the answer; empty without an origin that is listed
        def headers(origin)
          listed = Array(EncryptedS3Service.settings.cors_origins)
          return {} if listed.empty?

          # The answer depends on who asks, and caches have to know that.
          return { "Vary" => "Origin" } unless origin && listed.any? { |entry| allows?(entry, origin) }

          { "Access-Control-Allow-Origin" => origin, "Vary" => "Origin", "Access-Control-Expose-Headers" => EXPOSED }
        end

        private

        def allows?(entry, origin)
          return Regexp.new("\\A(?:#{entry.source})\\z", entry.options).match?(origin) if entry.is_a?(Regexp)

          entry == "*" || entry.casecmp?(origin)
        end
      end

      # The question that a browser asks before a script sends something (`OPTIONS`): a Rack application.
      class Preflight
        # Longer ones are cut by browsers.
        KEPT = 7200
        private_constant :KEPT

        # @param methods [Array<String>] what may be done at the address
        # @param headers [Array<String>] what a request may carry
        def initialize(methods, headers)
          @headers = { "Access-Control-Allow-Methods" => methods.join(", "), "Access-Control-Max-Age" => KEPT.to_s,
                       "Access-Control-Allow-Headers" => headers.join(", ") }
        end

        # @param env [Hash] Rack's
        # @return [Array] 204, or 404 without permissions where the origin is not listed
        def call(env)
          granted = CrossOrigin.headers(env["HTTP_ORIGIN"])
          # Left to the application's own routes.
          return [404, { "x-cascade" => "pass" }, []] unless granted.key?("Access-Control-Allow-Origin")

          [204, granted.except("Access-Control-Expose-Headers").merge(@headers).transform_keys(&:downcase), []]
        end
      end

      # For controllers. Before all other callbacks: a script has to see it when somebody is not let in, too.
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
