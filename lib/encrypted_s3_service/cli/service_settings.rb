# frozen_string_literal: true

require "active_support"
require "active_support/configuration_file"
require "psych"

module EncryptedS3Service
  class CLI
    # Collects keys and settings from files, the environment and an entry of a `storage.yml`.
    # @api private
    class ServiceSettings
      # A configuration needs the name of a bucket; for a local file it has no meaning.
      NO_BUCKET = "none"
      private_constant :NO_BUCKET

      # @param options [Options]
      # @param environment [Hash{String => String}]
      def initialize(options, environment)
        @options = options
        @environment = environment
      end

      # @param bucket [String]
      # @param key [String, nil] used instead of all configured keys
      # @return [Configuration]
      # @raise [ConfigurationError]
      def for_bucket(bucket, key: nil)
        configuration({ **entry, **@options.settings, bucket: bucket }, key)
      end

      # @param key [String, nil] used instead of all configured keys
      # @return [Configuration]
      # @raise [ConfigurationError]
      def for_file(key: nil)
        file = @options.instruction_file ? { envelope_location: "instruction_file" } : {}
        configuration({ **entry, **@options.settings, **file, bucket: NO_BUCKET }, key)
      end

      private

      def configuration(settings, key) = Configuration.new(**settings, **(key ? only(key) : keys(settings)))

      # Clears the settings that belong to other keys.
      def only(key)
        { encryption_key: key, encryption_key_id: nil, encryption_key_passphrase: nil, decryption_keys: nil }
      end

      def keys(settings)
        files = @options.key_files.map { |path| "file:#{path}" }
        return from_environment(settings) if files.empty?

        reading = files.drop(1)
        { encryption_key: files.first, encryption_key_passphrase: passphrase,
          decryption_keys: reading.any? ? reading : nil }.compact
      end

      def from_environment(settings)
        return {} unless EncryptionKey.blank?(settings[:encryption_key])

        key = @environment["ENCRYPTION_KEY"]
        if key.to_s.empty?
          raise ConfigurationError,
                "There is no key. Name a file with --key-file, or set ENCRYPTION_KEY"
        end

        { encryption_key: key, encryption_key_passphrase: passphrase }.compact
      end

      def passphrase = @environment["ENCRYPTION_KEY_PASSPHRASE"]

      def entry
        return {} unless @options.config

        entries = load
        found = entries[@options.service]
        unless found.is_a?(Hash)
          raise ConfigurationError, "#{@options.config} has no entry #{@options.service.inspect}, only " \
                                    "#{entries.keys.join(", ")}"
        end
        symbolize(found).except(:service, :public)
      end

      # The messages of other errors could quote a secret, so they are not passed on.
      def load
        entries = ActiveSupport::ConfigurationFile.parse(@options.config)
        entries.is_a?(Hash) ? entries : {}
      rescue SystemCallError
        raise
      rescue NameError
        raise ConfigurationError, "#{@options.config} needs something that only Rails has (credentials, paths). " \
                                  "Give the settings as options, and the key with --key-file or ENCRYPTION_KEY"
      rescue StandardError => e
        raise ConfigurationError, "#{@options.config} #{problem_of(e.cause || e)}"
      end

      def problem_of(error)
        return "cannot be evaluated: #{error.class.name}" unless error.is_a?(Psych::Exception)

        error.respond_to?(:line) ? "is not valid YAML at line #{error.line}" : "is not valid YAML"
      end

      def symbolize(value)
        value.is_a?(Hash) ? value.to_h { |name, inner| [name.to_sym, symbolize(inner)] } : value
      end
    end
  end
end
