# frozen_string_literal: true

require "erb"
require "yaml"
require_relative "input_file"

module EncryptedS3Service
  class CLI
    # Where keys and settings come from: files, the environment, an entry of a `storage.yml`.
    # @api private
    class ServiceSettings
      # A configuration must have a bucket, but a local file has none.
      NO_BUCKET = "none"
      # Values that remove the settings of a key in AWS KMS.
      NO_KMS = { kms_key_id: nil, kms_encryption_context: nil, kms_allow_decrypt_with_any_cmk: nil }.freeze
      private_constant :NO_BUCKET, :NO_KMS

      # @param options [Options]
      # @param environment [Hash{String => String}]
      def initialize(options, environment)
        @options = options
        @environment = environment
      end

      # @param bucket [String]
      # @param key [String, nil] used instead of all others
      # @return [Configuration]
      # @raise [ConfigurationError]
      def for_bucket(bucket, key: nil)
        given = entry
        if given[:root]
          raise ConfigurationError, "the entry #{@options.service.inspect} keeps its objects in a folder (root): " \
                                    "give the path of the object's file instead of s3://#{bucket}"
        end

        configuration({ **given, **@options.settings, **whole, bucket: bucket }, key)
      end

      # @param key [String, nil] used instead of all others
      # @return [Configuration]
      # @raise [ConfigurationError]
      def for_file(key: nil)
        file = { bucket: NO_BUCKET }
        file[:envelope_location] = "instruction_file" if @options.instruction_file
        # A binding includes the key in the bucket, which a file does not contain.
        file[:place_binding] = "off" unless @options.object_key
        configuration({ **entry.except(:root), **@options.settings, **file }, key)
      end

      private

      # What is written to the standard output cannot be taken back. By its stored map, an object is checked segment by
      # segment while it is read; without it, the whole object is checked first.
      def whole = @options.action == :decrypt && @options.target.nil? ? { segment_index: false } : {}

      def configuration(settings, key) = Configuration.new(**settings, **(key ? only(key) : keys(settings)))

      # Leaves out the settings of other keys.
      def only(key)
        { encryption_key: key, encryption_key_id: nil, encryption_key_passphrase: nil, decryption_keys: nil, **NO_KMS }
      end

      def keys(settings)
        files = @options.key_files.map { |path| "file:#{path}" }
        return from_environment(settings) if files.empty?

        reading = files.drop(1)
        { encryption_key: files.first, **NO_KMS,
          **{ encryption_key_passphrase: passphrase, decryption_keys: reading.any? ? reading : nil }.compact }
      end

      def from_environment(settings)
        return {} unless EncryptionKey.blank?(settings[:encryption_key]) && settings[:kms_key_id].to_s.empty?

        key = @environment["ENCRYPTION_KEY"]
        raise ConfigurationError, "there is no key: name a file (--key-file) or set ENCRYPTION_KEY" if key.to_s.empty?

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

      # Read as Rails reads it (ActiveSupport::ConfigurationFile), but without Rails.
      def load
        entries = YAML.safe_load(evaluate(template), aliases: true)
        entries.is_a?(Hash) ? entries : {}
      rescue Psych::Exception => e
        line = " at line #{e.line}" if e.respond_to?(:line)
        raise ConfigurationError, "#{@options.config} is not valid YAML#{line}"
      end

      def template
        InputFile.reading(@options.config) { File.read(@options.config, encoding: "BOM|UTF-8") }
      end

      # The messages of errors in the template could quote a secret.
      def evaluate(text)
        ERB.new(text, trim_mode: "<>").result
      rescue NameError
        raise ConfigurationError, "#{@options.config} uses something that only Rails has (credentials, paths). " \
                                  "Give the settings as options, and the key by --key-file or ENCRYPTION_KEY"
      rescue StandardError, ScriptError => e
        raise ConfigurationError, "#{@options.config} cannot be evaluated: #{e.class.name}"
      end

      def symbolize(value)
        value.is_a?(Hash) ? value.to_h { |name, inner| [name.to_sym, symbolize(inner)] } : value
      end
    end
  end
end
