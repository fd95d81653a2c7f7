# frozen_string_literal: true

require_relative "blob_walk"
require_relative "envelope_probe"

module EncryptedS3Service
  class Rotation
    # Looks which formats a service's files have and which keys they ask for, by one HEAD request each. Nothing is
    # unwrapped or read.
    #
    #     audit = EncryptedS3Service::Rotation::Audit.new(:encrypted_amazon).run
    #     audit.key_ids   # => { "2026" => 1200, "2024" => 3 }
    class Audit
      # @return [String]
      attr_reader :service_name

      # @return [Hash{String, nil => Integer}] objects by format: `"v1"`, `"v2"`, `"v3"`, `"instruction file"`
      attr_reader :formats

      # @return [Hash{String, nil => Integer}] objects with an envelope by the id of the key that they ask for
      attr_reader :key_ids

      # @return [Integer] objects that ask for the key that new objects get
      attr_reader :current

      # @return [Array<Finding>] objects that are not there
      attr_reader :missing

      # @return [Integer] objects that are not there and whose blobs are attached to nothing: uploads never finished
      attr_reader :unfinished

      # @return [Array<Finding>] objects without an envelope: they may be plaintext
      attr_reader :unencrypted

      # @return [Array<Finding>] objects that could not be looked at
      attr_reader :failures

      # @param service [Symbol, String, ActiveStorage::Service] see {Rotation#initialize}
      # @param blobs [ActiveRecord::Relation] of ActiveStorage::Blob: which are looked at, if they are in the service
      # @param concurrency [Integer] files at once
      # @param rate [Numeric, nil] the most objects a second
      # @param output [IO, nil] where progress and failures are shown
      # @raise [ConfigurationError] when there is no such service, or it does not encrypt
      # @raise [KeyDestroyedError] when its key is destroyed
      def initialize(service, blobs: ActiveStorage::Blob.all, concurrency: CONCURRENCY, rate: nil, output: nil)
        @files = BlobWalk.new(service, blobs, concurrency: concurrency, rate: rate, output: output)
        @service_name = @files.service_name
        @formats = Hash.new(0)
        @key_ids = Hash.new(0)
        @current = 0
        @unfinished = 0
        @missing = []
        @unencrypted = []
        @failures = []
      end

      # @return [self]
      def run
        @files.each("looked at", method(:look)) { |findings| findings.each { |finding| add(finding) } }
        self
      end

      # @return [Boolean] whether every object is there, encrypted and could be looked at
      def well? = [missing, unencrypted, failures].all?(&:empty?)

      private

      # Called in several threads.
      def look(id)
        @files.objects(id) { |service, blob| finding(service, blob) }
      end

      def finding(service, blob)
        probe = EnvelopeProbe.new(service.client, blob.key)
        outcome = probe.current? ? :current : :old
        outcome = :unencrypted unless probe.format
        Finding.new(outcome: outcome, format: probe.format, key_id: probe.key_id, object: @files.name_of(blob, service))
      end

      def add(finding)
        case finding.outcome
        when :failed then @failures << finding
        when :missing then @missing << finding
        when :unfinished then @unfinished += 1
        when :unencrypted then @unencrypted << finding
        else
          @formats[finding.format] += 1
          @key_ids[finding.key_id] += 1
          @current += 1 if finding.outcome == :current
        end
      end
    end
  end
end
