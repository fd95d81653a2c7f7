# frozen_string_literal: true

module EncryptedS3Service
  class Rotation
    # Format and key id of an object's envelope, read by a HEAD request. Nothing is unwrapped.
    # @api private
    class EnvelopeProbe
      # @return [String, nil] `"v1"`, `"v2"`, `"v3"`, or `"instruction file"`; nil when there is no envelope
      attr_reader :format

      # @return [String, nil] the id of the wrapping key
      attr_reader :key_id

      # @return [String, nil] why the object must stay as it is: it is archived or locked
      attr_reader :immovable

      # @param client [Client]
      # @param key [String]
      # @raise [NotFoundError]
      def initialize(client, key)
        envelope = client.envelope(key)
        @client = client
        @key = key
        @key_id = envelope.key_id
        @bound = envelope.bound
        @recovery = envelope.recovery
        @immovable = envelope.immovable
        suffix = client.configuration.instruction_file_suffix
        @format = envelope.format
        @format ||= "instruction file" if suffix && client.exist?("#{key}#{suffix}")
      end

      # False for an envelope without a key id.
      # @return [Boolean] whether the data key is wrapped by the writing key
      def current? = !key_id.nil? && @client.writing_key?(key_id) && @client.writing_context?(@key)

      # @return [Boolean] whether it has an entry that binds it to a key of the bucket
      def bound? = @bound

      # @return [Boolean] whether rotation adds this entry
      def to_be_bound? = !bound? && @client.configuration.place_binding == "verify"

      # @return [Boolean] whether it names the recovery keys of the service, if there are any
      def recoverable?
        wanted = @client.configuration.recovery_fingerprints
        wanted.empty? || wanted == @recovery
      end

      # @return [Boolean] whether reading it is refused because it has no such entry
      def refused? = !bound? && @client.configuration.place_binding == "require"

      # @return [Boolean] whether only encrypting it again can change its key
      def legacy? = format == "v1"

      # @return [Boolean] whether its envelope is in an instruction file
      def in_file? = format == "instruction file"

      # @return [Boolean] whether new objects get a format that this one cannot have by rotation
      def old_format? = @client.outdated_format?(format)
    end
  end
end
