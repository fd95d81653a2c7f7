# frozen_string_literal: true

require "uri"

module EncryptedS3Service
  class Configuration
    # Names of the store in an entry: its bucket, its region and URLs. Stores have different rules. This refuses what no
    # store has, because the first request would fail by an error of the network that does not name the setting.
    # @api private
    module StoreNames
      # No store has these characters in the name of a bucket. The ARN of an access point has slashes.
      BUCKET = %r{\A(?:[^\s/\\?#]+|arn:[^\s\\?#]+)\z}
      # A region is part of a host name.
      REGION = /\A[a-z0-9]+(?:[._-][a-z0-9]+)*\z/i
      private_constant :BUCKET, :REGION

      class << self
        # @param settings [Options]
        # @return [String, nil]
        # @raise [ConfigurationError] when it cannot be the name of a bucket
        def bucket(settings)
          check(settings, :bucket, BUCKET,
                "must be the name of a bucket alone. A folder in the bucket is set by prefix")
        end

        # @param settings [Options]
        # @return [String, nil]
        # @raise [ConfigurationError] when it cannot be the name of a region
        def region(settings)
          check(settings, :region, REGION, "must be the name of a region, like eu-central-1")
        end

        # @param text [String]
        # @param form [Regexp] of URLs that the setting accepts
        # @return [Boolean] whether the text is a URL of that form, with a port that exists
        def url?(text, form)
          text.match?(form) && (URI.parse(text).port || 1).between?(1, 65_535)
        rescue URI::InvalidURIError
          false
        end

        private

        def check(settings, name, form, problem)
          value = settings.string(name)
          settings.refuse(name, problem) if value && !value.match?(form)
          value
        end
      end
    end
  end
end
