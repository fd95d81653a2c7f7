# frozen_string_literal: true

require "active_support/current_attributes"

module EncryptedS3Service
  module Serving
    # The path under which a request has found the application, when only the request knows it (Rack's `SCRIPT_NAME`:
    # an account in the path, or a mount point). ActiveStorage::SetCurrent leaves it out, and addresses would miss it.
    # It stands last in the stack, because a middleware of the application may be what moves the path there.
    class PathPrefix
      # What the request in this thread or fiber has said.
      class Current < ActiveSupport::CurrentAttributes
        attribute :script_name
      end

      # @return [String, nil] of this request, without a slash at its end; nil outside of one
      def self.current = Current.script_name

      # @param app [#call]
      def initialize(app)
        @app = app
      end

      # @param env [Hash] Rack's
      # @return [Array] the application's answer
      def call(env)
        # The executor resets it, as all of Rails' current attributes, when the answer is through.
        Current.script_name = env["SCRIPT_NAME"].to_s.delete_suffix("/")
        @app.call(env)
      end
    end
  end
end
