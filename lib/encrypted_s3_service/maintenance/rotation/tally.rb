# frozen_string_literal: true

require_relative "../task_run/failures"

module EncryptedS3Service
  class Rotation
    # The result for one object.
    # @!attribute outcome [Symbol] `:rotated`, `:current`, `:reencrypted`, `:reencrypt` (must be encrypted again),
    #   `:immovable` (archived or locked); of an audit `:current`, `:old`, `:unencrypted`; of both `:missing`,
    #   `:unfinished` (missing, and its blob is attached to nothing), `:failed`
    # @!attribute format [String, nil] `"v1"`, `"v2"`, `"v3"`, or `"instruction file"`
    # @!attribute key_id [String, nil] of its wrapping key before
    # @!attribute new_key_id [String, nil] of its wrapping key now
    # @!attribute old_format [Boolean] whether it is V2 although new objects are V3
    # @!attribute bound [Boolean, nil] of an audit, whether it is bound to its key
    # @!attribute recoverable [Boolean, nil] of an audit, whether it is for the recovery keys
    # @!attribute failure [TaskRun::Failure, nil] the object and the reason of its failure
    Finding = Data.define(:outcome, :format, :key_id, :new_key_id, :old_format, :bound, :recoverable, :failure) do
      # @api private
      def initialize(outcome:, format: nil, key_id: nil, new_key_id: nil, old_format: false, bound: nil,
                     recoverable: nil, failure: nil)
        super
      end

      # @param blob_id [Object]
      # @param error [Exception]
      # @param outcome [Symbol]
      # @param object [String, nil]
      # @return [Finding]
      # @api private
      def self.failed(blob_id, error, outcome: :failed, object: nil)
        new(outcome: outcome, failure: TaskRun::Failure.of(blob_id, error, object: object))
      end
    end

    # The results for one service.
    class Tally
      # @return [String]
      attr_reader :service_name

      # @return [Hash{Symbol => Integer}] objects by result: `:rotated`, `:current`, `:reencrypted`, `:reencrypt` (must
      #   be encrypted again), `:immovable` (archived or locked), `:missing`, `:unfinished` (missing, and their blobs
      #   attached to nothing), `:failed`. In a dry run: the expected results
      attr_reader :outcomes

      # @return [Hash{String, nil => Integer}] objects by the id of their wrapping key before
      attr_reader :key_ids_before

      # @return [Hash{String, nil => Integer}] objects by the id of their wrapping key now
      attr_reader :key_ids_after

      # @return [Integer] objects that are V2 although new ones are V3
      attr_reader :old_format

      # @param service_name [String]
      # @param failures [TaskRun::Failures] of the run
      # @api private
      def initialize(service_name, failures)
        @service_name = service_name
        @run_failures = failures
        @outcomes = Hash.new(0)
        @key_ids_before = Hash.new(0)
        @key_ids_after = Hash.new(0)
        @old_format = 0
      end

      # @return [Array<TaskRun::Failure>] the objects that failed, are missing or must stay as they are, the first
      #   thousand of each; they are unchanged
      def failures = @run_failures.of(:missing, :failed, :immovable)

      # @return [Integer] objects that failed, are missing or must stay as they are
      def failed = outcomes.values_at(:failed, :missing, :immovable).sum

      # @return [Integer] objects that were checked
      def total = outcomes.values.sum - outcomes[:unfinished]

      # @param findings [Array<Finding>]
      # @return [void]
      # @api private
      def add(findings)
        findings.each do |finding|
          @outcomes[finding.outcome] += 1
          next if finding.failure || finding.outcome == :unfinished

          @key_ids_before[finding.key_id] += 1
          @key_ids_after[finding.new_key_id] += 1
          @old_format += 1 if finding.old_format
        end
      end
    end
  end
end
