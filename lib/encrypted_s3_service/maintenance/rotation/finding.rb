# frozen_string_literal: true

require_relative "../task_run/reason"

module EncryptedS3Service
  class Rotation
    # One object that was looked at.
    # @!attribute outcome [Symbol] `:rotated`, `:current`, `:reencrypted`, `:reencrypt` (it has to be encrypted anew);
    #   of an audit `:current`, `:old`, `:unencrypted`; of both `:missing`, `:unfinished` (it is not there, and its blob
    #   is attached to nothing), `:failed`
    # @!attribute format [String, nil] `"v1"`, `"v2"`, `"v3"`, or `"instruction file"`
    # @!attribute key_id [String, nil] of the key that it asked for before
    # @!attribute new_key_id [String, nil] of the key that it asks for now
    # @!attribute old_format [Boolean] whether it is V2 although new objects are V3
    # @!attribute object [String, nil] which it is, in words
    # @!attribute reason [String, nil] why it failed, or has to be encrypted anew
    Finding = Data.define(:outcome, :format, :key_id, :new_key_id, :old_format, :object, :reason) do
      # @api private
      def initialize(outcome:, format: nil, key_id: nil, new_key_id: nil, old_format: false, object: nil, reason: nil)
        super
      end

      # @param error [StandardError]
      # @param object [String]
      # @param outcome [Symbol]
      # @return [Finding]
      # @api private
      def self.failed(error, object, outcome: :failed)
        new(outcome: outcome, object: object, reason: TaskRun::Reason.of(error))
      end

      # @param outcome [Symbol]
      # @param configuration [Configuration] of the service
      # @param format [String, nil]
      # @param key_id [String, nil]
      # @return [Finding]
      # @api private
      def self.of(outcome, configuration, format:, key_id:)
        old_format = %i[rotated current].include?(outcome) && format == "v2" && configuration.written_format == "v3"
        new_key_id = outcome == :reencrypt ? key_id : configuration.encryption_key.id
        new(outcome: outcome, format: format, key_id: key_id, new_key_id: new_key_id, old_format: old_format)
      end

      # @return [Boolean]
      def failure? = %i[failed missing].include?(outcome)

      # @return [String]
      def to_s = [object, reason].compact.join(": ")
    end
  end
end
