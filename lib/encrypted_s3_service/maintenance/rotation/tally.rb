# frozen_string_literal: true

module EncryptedS3Service
  class Rotation
    # What became of the files of a service.
    class Tally
      # @return [String]
      attr_reader :service_name

      # @return [Hash{Symbol => Integer}] objects by what became of them: `:rotated`, `:current`, `:reencrypted`,
      #   `:reencrypt` (they have to be encrypted anew), `:missing`, `:unfinished` (not there, and their blobs attached
      #   to nothing), `:failed`; in a dry run what would
      attr_reader :outcomes

      # @return [Hash{String, nil => Integer}] objects by the id of the key that they asked for before
      attr_reader :key_ids_before

      # @return [Hash{String, nil => Integer}] and that they ask for now
      attr_reader :key_ids_after

      # @return [Integer] objects that are V2 although new ones are V3
      attr_reader :old_format

      # @return [Array<Finding>] the objects that failed or are missing; they are as they were
      attr_reader :failures

      # @param files [BlobWalk]
      # @api private
      def initialize(files)
        @service_name = files.service_name
        @outcomes = Hash.new(0)
        @key_ids_before = Hash.new(0)
        @key_ids_after = Hash.new(0)
        @old_format = 0
        @failures = []
      end

      # @param findings [Array<Finding>]
      # @return [void]
      # @api private
      def add(findings)
        findings.each do |finding|
          @outcomes[finding.outcome] += 1
          @failures << finding if finding.failure?
          next if finding.failure? || finding.outcome == :unfinished

          @key_ids_before[finding.key_id] += 1
          @key_ids_after[finding.new_key_id] += 1
          @old_format += 1 if finding.old_format
        end
      end
    end
  end
end
