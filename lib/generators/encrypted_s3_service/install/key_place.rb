# frozen_string_literal: true

require "encrypted_s3_service"
require "active_support/encrypted_file"
require_relative "credentials_entry"

module EncryptedS3Service
  module Generators
    # Stores the key of a new installation. An existing key is never replaced or shown.
    # @api private
    class KeyPlace
      # Name of the environment variable.
      VARIABLE = "ENCRYPTION_KEY"

      # Rails' errors for a wrong or malformed key of the credentials.
      WRONG_KEY = [ActiveSupport::MessageEncryptor::InvalidMessage, ActiveSupport::EncryptedFile::InvalidKeyLengthError,
                   ArgumentError].freeze
      private_constant :WRONG_KEY

      # @param wanted [String, nil] `credentials`, `environment`, `openbao` or `none`; nil chooses one of the first two
      # @param credentials [ActiveSupport::EncryptedConfiguration] the application's credentials
      # @param shell [Thor::Shell::Basic] receives messages, never the key
      def initialize(wanted, credentials, shell)
        @credentials = credentials
        @shell = shell
        @wanted = wanted || (credentials.key? ? "credentials" : "environment")
      end

      # @return [String] the Ruby expression that reads the key in config/storage.yml
      def expression
        return "Rails.application.credentials.dig(:encrypted_s3, :encryption_key)" if credentials?

        "ENV[#{VARIABLE.inspect}]"
      end

      # @return [Boolean] whether the key stays with a custodian, and the application gets a reference
      def custody? = @wanted == "openbao"

      # Generates and stores the key, unless there is one.
      # @return [void]
      # @raise [CredentialsEntry::Refusal] when it cannot be added to the credentials
      def store
        case @wanted
        when "credentials" then store_in_credentials
        when "environment" then make_for_environment
        end
      end

      # Prints the line for the environment, once, if a key was made for it. It does not use the shell, which `--quiet`
      # silences: the key would be lost.
      # @return [void]
      def show
        return unless @line

        @shell.say "\nThe key is shown only once and is not stored. Add this line to the application's " \
                   "environment:\n\n"
        $stdout.puts @line
        @line = nil
      end

      private

      def credentials? = @wanted == "credentials" || (@wanted == "none" && entry_there?)

      def entry_there?
        @credentials.key? && CredentialsEntry.new(@credentials.read).there?
      rescue CredentialsEntry::Refusal, *WRONG_KEY
        false
      end

      def store_in_credentials
        refuse_without_key
        entry = CredentialsEntry.new(@credentials.read)
        return say_kept("encrypted_s3.encryption_key in #{file}") if entry.there?

        # `change` would write the decrypted text into a temporary file.
        @credentials.write(entry.add(EncryptionKey.generate))
        @shell.say_status(:insert, "encrypted_s3.encryption_key in #{file}", :green)
        warn_of_others
      rescue *WRONG_KEY
        raise CredentialsEntry::Refusal, "#{file} cannot be decrypted with the present key. Nothing was changed. " \
                                         "Provide the right key, or use --key=environment."
      end

      def make_for_environment
        return say_kept("#{VARIABLE} of the environment") unless EncryptionKey.blank?(ENV.fetch(VARIABLE, nil))

        @line = "#{VARIABLE}=#{EncryptionKey.generate}"
      end

      def say_kept(name) = @shell.say_status(:keep, name, :blue)

      def refuse_without_key
        return if @credentials.key?

        raise CredentialsEntry::Refusal, "There is no key for #{file}. Put it into #{@credentials.key_path} or into " \
                                         "#{@credentials.env_key}, or use --key=environment."
      end

      # Rails reads only one credentials file: the environment's own, if there is one.
      def warn_of_others
        others = Dir[@credentials.content_path.dirname.join("credentials", "*.yml.enc")]
        others.reject! { |other| File.identical?(other, @credentials.content_path) }
        return if others.empty?

        names = others.map { |other| File.basename(other, ".yml.enc") }.sort.join(", ")
        @shell.say_status(:note, "credentials of other environments lack this key: #{names}. Copy it there with " \
                                 "`bin/rails credentials:edit --environment NAME` if they use the same bucket", :yellow)
      end

      def file
        root = Rails.root.to_s
        @credentials.content_path.to_s.delete_prefix("#{root}/")
      end
    end
  end
end
