# frozen_string_literal: true

module EncryptedS3Service
  class CLI
    # An object in a bucket.
    # @api private
    class BucketObject
      ADDRESS = %r{\As3://([^/]+)/(.+)\z}m
      private_constant :ADDRESS

      # @param place [String]
      # @return [Boolean] whether it is an address, not a path
      def self.address?(place) = place.start_with?("s3://")

      # @param place [String]
      # @return [String] the name of the bucket
      # @raise [Options::Error]
      def self.bucket_of(place)
        place[ADDRESS, 1] or raise Options::Error, "#{place} is not an address; the form is s3://BUCKET/KEY"
      end

      # @param place [String]
      # @param configuration [Configuration]
      # @param recovery_key [String, nil] DER of a private recovery key used instead of the configured keys
      def initialize(place, configuration, recovery_key: nil)
        @place = place
        @key = place[ADDRESS, 2]
        @client = recovery_key ? RecoveryClient.new(recovery_key, configuration) : Client.new(configuration)
      end

      # @return [Array(Integer, Hash{String => String})] bytes of the stored body, and the entries
      # @raise [NotFoundError]
      # @raise [Error]
      def metadata
        stored = @client.metadata(@key)
        [stored.size, stored.entries]
      end

      # @yieldparam chunk [String] authenticated
      # @return [void]
      # @raise [Error]
      def read(&) = @client.download(@key, &)

      # @param former [String] the key under which the object was written
      # @return [Boolean] whether the object had to be changed
      # @raise [Error]
      def rebind(former) = @client.rebind(@key, from: former)

      # @return [Symbol] see {Client::Index#index}
      # @raise [Error]
      def index = @client.index(@key)

      # @return [Boolean] whether a segment map is stored beside it
      # @raise [Error]
      def indexed? = @client.segment_map?("#{@key}#{Configuration::SEGMENTS_SUFFIX}")

      # @return [String, nil] the address of the object to which this segment map belongs; nil when it is not a segment
      #   map
      # @raise [Error]
      def mapped
        @place.delete_suffix(Configuration::SEGMENTS_SUFFIX) if @client.segment_map?(@key)
      end

      # @param file [File]
      # @param force [Boolean]
      # @param content_type [String, nil]
      # @return [void]
      # @raise [Error]
      def write(file, force:, content_type:)
        raise FileError, "#{@place} already exists; --force overwrites it" if !force && @client.exist?(@key)

        @client.upload(@key, file, content_type: content_type)
      end
    end
  end
end
