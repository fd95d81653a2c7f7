# frozen_string_literal: true

module EncryptedS3Service
  class Configuration
    # Advice about a missing `encryption_key`. If the application's credentials cannot be read here, the key may be in
    # them; files that were encrypted with it could not be read with a new key.
    # @api private
    module MissingKey
      class << self
        # @param recipe [String] how to make a key: a sentence without its period
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

        # If the environment has such a file, Rails does not read config/credentials.yml.enc.
        def for_one_environment(credentials)
          "Rails reads only #{file(credentials.content_path)} here: if the key is in other credentials, copy it " \
            "with `bin/rails credentials:edit --environment #{credentials.content_path.basename(".yml.enc")}`"
        end

        def file(path) = path.to_s.delete_prefix("#{::Rails.root}/")
      end
    end
  end
end
