# frozen_string_literal: true

require "active_support/current_attributes"

module EncryptedS3Service
  module Serving
    # Where a request has found the application. ActiveStorage::SetCurrent, which only some controllers include, tells
    # the host but not the path when only the request knows that (Rack's `SCRIPT_NAME`: an account in the path, or a
    # mount point). It stands last in the stack, because a middleware of the application may be what moves the path
    # there.
    class RequestPlace
      # The request in this thread or fiber.
      class Current < ActiveSupport::CurrentAttributes
        attribute :environment
      end

      class << self
        # @return [String, nil] the path in front of the application's own, without a slash at its end; nil outside of a
        #   request
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

      # @param env [Hash] Rack's
      # @return [Array] the application's answer
      def call(env)
        # The executor resets it, as all of Rails' current attributes, when the answer is through. A router changes the
        # path of the request that it was given.
        Current.environment = env.slice("SCRIPT_NAME", *HOST)
        @app.call(env)
      end

      # What a request's protocol, host and port are found out from.
      HOST = %w[HTTP_HOST HTTP_X_FORWARDED_HOST HTTP_X_FORWARDED_PROTO HTTP_X_FORWARDED_PORT HTTP_X_FORWARDED_SCHEME
                HTTP_X_FORWARDED_SSL HTTP_FORWARDED HTTPS SERVER_NAME SERVER_PORT rack.url_scheme
                action_dispatch.tld_length].freeze
      private_constant :HOST
    end
  end
end
