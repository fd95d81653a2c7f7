# frozen_string_literal: true

require_relative "blob_walk"
require_relative "envelope_probe"

module EncryptedS3Service
  class Rotation
    # Counts formats and key ids of a service's files by one HEAD request each. Nothing is unwrapped or read.
    #
    #     audit = EncryptedS3Service::Rotation::Audit.new(:encrypted_amazon).run
    #     audit.key_ids   # => { "2026" => 1200, "2024" => 3 }
    class Audit
      # The counts for one service: `formats` (a Hash, objects by format: `"v1"`, `"v2"`, `"v3"`,
      # `"instruction file"`), `key_ids` (a Hash, objects by key id, which may be nil), `current` (Integer, objects
      # under the writing key), `unfinished` (Integer, missing objects whose blobs are not attached: uploads that never
      # finished), `unbound` (Integer, objects without an entry that binds them to their keys) and `unrecoverable`
      # (Integer, objects without an entry for the `recovery_keys` of their service).
      Counts = Struct.new(:formats, :key_ids, :current, :unfinished, :unbound, :unrecoverable) do
        # @return [Integer] encrypted objects
        def total = key_ids.values.sum
      end

      # @return [Hash{String => Counts}] of the services that have files, by name
      attr_reader :counts

      # @return [ServiceSelection]
      # @api private
      attr_reader :selection

      # @return [TaskRun::Failures]
      # @api private
      attr_reader :run_failures

      # @param service [Symbol, String, ActiveStorage::Service, nil] see {Rotation#initialize}; nil checks all services
      #   in one run, and the result is in {#counts}
      # @param blobs [ActiveRecord::Relation] of ActiveStorage::Blob: those to check, if they are in the service
      # @param concurrency [Integer] number of files checked at once
      # @param rate [Numeric, nil] maximum number of objects per second
      # @param failures [String, nil] path of a file that gets one line per object with a problem
      # @param output [IO, nil] receives progress and failures
      # @raise [ConfigurationError] when the service does not exist or does not encrypt
      # @raise [KeyDestroyedError] when its key is destroyed
      def initialize(service, blobs: TaskRun::Rows.blobs, concurrency: CONCURRENCY, rate: nil, failures: nil,
                     output: nil)
        @walk = BlobWalk.new(service, blobs, concurrency: concurrency, rate: rate, failures: failures, output: output,
                                             uses_keys: false)
        @selection = @walk.selection
        @run_failures = @walk.failures
        @counts = Hash.new { |counts, name| counts[name] = Counts.new(Hash.new(0), Hash.new(0), 0, 0, 0, 0) }
      end

      # @return [self]
      def run
        @walk.each("checked", method(:look)) do |name, findings|
          findings.each { |finding| add(@counts[name], finding) }
        end
        self
      end

      # @return [String, nil] the service's name, if there is only one
      def service_name = selection.only

      # @return [Hash{String => Integer}] of the one service; see {Counts}
      def formats = own.formats

      # @return [Hash{String, nil => Integer}] of the one service; see {Counts}
      def key_ids = own.key_ids

      # @return [Integer] of the one service; see {Counts}
      def current = own.current

      # @return [Integer] of the one service; see {Counts}
      def unfinished = own.unfinished

      # @return [Integer] of the one service; see {Counts}
      def unbound = own.unbound

      # @return [Integer] of the one service; see {Counts}
      def unrecoverable = own.unrecoverable

      # @return [Array<TaskRun::Failure>] missing objects, the first thousand
      def missing = run_failures.of(:missing)

      # @return [Array<TaskRun::Failure>] objects without an envelope, which may be plaintext; the first thousand
      def unencrypted = run_failures.of(:unencrypted)

      # @return [Array<TaskRun::Failure>] objects that could not be checked, the first thousand
      def failures = run_failures.of(:failed)

      # @return [Boolean] whether every object exists, is encrypted and could be checked
      def well? = run_failures.count.zero? && selection.unknown.empty?

      private

      def own = @counts[service_name]

      # Runs in several threads.
      def look(item)
        @walk.objects(item) { |service, blob| finding(service, blob) }
      end

      def finding(service, blob)
        probe = EnvelopeProbe.new(service.client, blob.key)
        return unencrypted_finding(service, blob) unless probe.format

        Finding.new(outcome: probe.current? ? :current : :old, format: probe.format, key_id: probe.key_id,
                    bound: probe.bound?, recoverable: probe.recoverable?)
      end

      def unencrypted_finding(service, blob)
        failure = TaskRun::Failure.new(blob_id: blob.id, object: BlobWalk.name_of(blob, service))
        Finding.new(outcome: :unencrypted, failure: failure)
      end

      def add(counts, finding)
        counts.unfinished += 1 if finding.outcome == :unfinished
        return unless %i[current old].include?(finding.outcome)

        counts.formats[finding.format] += 1
        counts.key_ids[finding.key_id] += 1
        counts.current += 1 if finding.outcome == :current
        counts.unbound += 1 unless finding.bound
        counts.unrecoverable += 1 unless finding.recoverable
      end
    end
  end
end
