# frozen_string_literal: true

module EncryptedS3Service
  class Configuration
    # Decides whether a bucket or key may be missing until it is used. Images are built, assets precompiled and specs
    # run without secrets; but a server without its key must fail at boot and not with the first file.
    # @api private
    module Tolerance
      # Settings that contain or describe a secret.
      SECRETS = %i[encryption_key encryption_key_id encryption_key_passphrase decryption_keys kms_key_id
                   access_key_id secret_access_key session_token].freeze
      private_constant :SECRETS

      class << self
        # @param options [Hash{Symbol => Object}] an entry of `storage.yml`
        # @param placeholders [Boolean] whether keys may be placeholders
        # @return [Client] raises on first use if something is wrong that is tolerated
        # @raise [ConfigurationError] for everything else
        def client(options, placeholders:)
          Client.new(Configuration.new(tolerated?, **options))
        rescue ConfigurationError => e
          raise unless placeholders

          # Raises unless only the secrets are wrong.
          Client.new(Configuration.new(true, e.message, **options.except(*SECRETS)))
        end

        # @return [String, nil] why a missing secret is tolerated until its first use; nil when it is not
        def reason
          return "SECRET_KEY_BASE_DUMMY is set" if dummy?
          return unless rails?
          return "a Rake task is running" if rake?
          return "CI is set" if ci?

          "the environment is #{::Rails.env}" if ::Rails.env.local?
        end

        # @return [Boolean] whether there is a {reason}
        def tolerated? = !reason.nil?

        # @return [Boolean] whether keys can also be placeholders, for example while an image is built
        def placeholders? = dummy? || (rails? && rake?)

        # @return [Boolean] whether Rails' own variable is set, with which there are no secrets
        def dummy? = ENV.key?("SECRET_KEY_BASE_DUMMY")

        private

        def rails? = defined?(::Rails.application) && !::Rails.application.nil?

        # GitHub, GitLab and others set `true`, Woodpecker and Drone their own name.
        def ci? = !ENV["CI"].to_s.strip.downcase.match?(/\A(0|false|no|off)?\z/)

        # `bin/rails assets:precompile` is a Rake task; a server is not.
        def rake? = defined?(::Rake.application) && ::Rake.application.top_level_tasks.any?
      end
    end
  end
end
