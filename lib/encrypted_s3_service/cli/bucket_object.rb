# frozen_string_literal: true

module EncryptedS3Service
  class CLI
    # An object in a bucket.
    # @api private
    class BucketObject
      ADDRESS = %r{\As3://([^/]+)/(.+)\z}m
      private_constant :ADDRESS

      # @param place [String]
      # @return [Boolean] whether it is an address of S3 and not a path
      def self.address?(place) = place.start_with?("s3://")

      # @param place [String]
      # @return [String] the name of the bucket
      # @raise [Options::Error]
      def self.bucket_of(place)
        place[ADDRESS, 1] or raise Options::Error, "#{place} is not an address of the form s3://BUCKET/KEY"
      end

      # @param place [String]
      # @param configuration [Configuration]
      def initialize(place, configuration)
        @place = place
        @key = place[ADDRESS, 2]
        @client = Client.new(configuration)
      end

      # @return [Array(Integer, Hash{String => String})] the size of the stored body in bytes, and the metadata entries
      # @raise [NotFoundError]
      # @raise [Error]
      def metadata
        stored = @client.metadata(@key)
        [stored.size, stored.entries]
      end

      # @yieldparam chunk [String] binary and authenticated
      # @return [void]
      # @raise [Error]
      def read(&) = @client.download(@key, &)

      # @param file [File]
      # @param force [Boolean]
      # @param content_type [String, nil]
      # @return [void]
      # @raise [Error]
      def write(file, force:, content_type:)
        raise FileError, "#{@place} exists already. Use --force to overwrite it" if !force && @client.exist?(@key)

        @client.upload(@key, file, content_type: content_type)
      end
    end
  end
end
