# frozen_string_literal: true

require "active_support/current_attributes"

module EncryptedS3Service
  module Serving
    # Middleware that remembers host and path prefix of the current request. ActiveStorage::SetCurrent, which only some
    # controllers include, provides the host but not the path prefix (Rack's `SCRIPT_NAME`: an account in the path, or a
    # mount point). It runs last, because a middleware of the application may set the prefix.
    class RequestPlace
      # The current request of this thread or fiber.
      class Current < ActiveSupport::CurrentAttributes
        attribute :environment
      end

      class << self
        # @return [String, nil] the path prefix without a trailing slash; nil outside of a request
        def prefix = Current.environment&.fetch("SCRIPT_NAME", "")&.delete_suffix("/")

        # @return [Hash{Symbol => Object}, nil] protocol, host and port; nil outside of a request
        def url_options
          environment = Current.environment or return

          request = ActionDispatch::Request.new(environment)
          { protocol: request.protocol, host: request.host, port: request.port }
        end
      end

      # @param app [#call]
      def initialize(app)
        @app = app
      end

      # @param env [Hash] the Rack environment
      # @return [Array] the application's response
      def call(env)
        # The executor resets it after the response, as all current attributes. It is a copy, because routers change
        # `SCRIPT_NAME` in place.
        Current.environment = env.slice("SCRIPT_NAME", *HOST)
        @app.call(env)
      end

      # The entries of the environment that determine protocol, host and port.
      HOST = %w[HTTP_HOST HTTP_X_FORWARDED_HOST HTTP_X_FORWARDED_PROTO HTTP_X_FORWARDED_PORT HTTP_X_FORWARDED_SCHEME
                HTTP_X_FORWARDED_SSL HTTP_FORWARDED HTTPS SERVER_NAME SERVER_PORT rack.url_scheme
                action_dispatch.tld_length].freeze
      private_constant :HOST
    end
  end
end
