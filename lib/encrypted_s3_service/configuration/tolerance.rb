# frozen_string_literal: true

module EncryptedS3Service
  class Configuration
    # Whether a bucket or key may be missing until it is used. Images are built, assets precompiled and specs run where
    # no secret is; a server without its key is to be stopped when it boots, and not by the first visitor's file.
    # @api private
    module Tolerance
      class << self
        # @return [String, nil] why a missing secret is let pass until its first use; nil when it is not
        def reason
          return "SECRET_KEY_BASE_DUMMY is set" if dummy?
          return unless rails?
          return "a Rake task runs" if rake?
          return "CI is set" if ci?

          "the environment is #{::Rails.env}" if ::Rails.env.local?
        end

        # @return [Boolean] whether {reason} has one
        def tolerated? = !reason.nil?

        # @return [Boolean] whether keys may even be placeholders, as in the building of an image
        def placeholders? = dummy? || (rails? && rake?)

        # @return [Boolean] Rails' own sign that there are no secrets
        def dummy? = ENV.key?("SECRET_KEY_BASE_DUMMY")

        private

        def rails? = defined?(::Rails.application) && !::Rails.application.nil?

        # GitHub, GitLab and others say `true`, Woodpecker and Drone their own name.
        def ci? = !ENV["CI"].to_s.strip.downcase.match?(/\A(0|false|no|off)?\z/)

        # `bin/rails assets:precompile` is one, too. No server is.
        def rake? = defined?(::Rake.application) && ::Rake.application.top_level_tasks.any?
      end
    end
  end
end
