# frozen_string_literal: true

module EncryptedS3Service
  class Configuration
    # What to do about a missing `encryption_key`. Where the application's credentials cannot be read, the key may be in
    # them: who made a new one then could not read the files that are there.
    # @api private
    module MissingKey
      class << self
        # @param recipe [String] a sentence, without its period: how a key is made
        # @return [String] sentences, without the last period
        def way_out(recipe)
          first = advice or return recipe

          "#{first}. Otherwise: #{recipe[0].downcase}#{recipe[1..]}"
        end

        private

        # @return [String, nil] what to do if there is a key; nil where the application has no credentials for it
        def advice
          return unless defined?(::Rails.application) && ::Rails.application

          credentials = ::Rails.application.credentials
          return unless credentials.content_path&.exist?
          return unreadable(credentials) unless credentials.key?

          for_one_environment(credentials) if credentials.content_path.dirname.basename.to_s == "credentials"
        end

        def unreadable(credentials)
          "#{file(credentials.content_path)} cannot be read here: if the key is in it, set #{credentials.env_key} or " \
            "put its key into #{file(credentials.key_path)}"
        end

        # Beside such a file Rails does not read config/credentials.yml.enc.
        def for_one_environment(credentials)
          "Rails reads no credentials but #{file(credentials.content_path)} here: if the key is in others, copy it " \
            "with `bin/rails credentials:edit --environment #{credentials.content_path.basename(".yml.enc")}`"
        end

        def file(path) = path.to_s.delete_prefix("#{::Rails.root}/")
      end
    end
  end
end
