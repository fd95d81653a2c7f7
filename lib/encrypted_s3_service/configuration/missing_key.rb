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
          credentials = unreadable_credentials or return recipe

          "#{file(credentials.content_path)} cannot be read here: if the key is in it, set #{credentials.env_key} or " \
            "put its key into #{file(credentials.key_path)}. Otherwise: #{recipe[0].downcase}#{recipe[1..]}"
        end

        private

        # @return [ActiveSupport::EncryptedConfiguration, nil] the credentials, if they have a file and no key
        def unreadable_credentials
          return unless defined?(::Rails.application) && ::Rails.application

          credentials = ::Rails.application.credentials
          credentials if credentials.content_path&.exist? && !credentials.key?
        end

        def file(path) = path.to_s.delete_prefix("#{::Rails.root}/")
      end
    end
  end
end
