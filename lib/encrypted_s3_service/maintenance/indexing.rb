# frozen_string_literal: true

require "encrypted_s3_service"
require_relative "rotation"

module EncryptedS3Service
  # Stores the segment maps (`<key>.segments`) of large files that have none, while the application runs. Such files
  # were stored before there were maps, by other clients, or while `segment_index` was false.
  #
  #     EncryptedS3Service::Indexing.new(:encrypted_amazon).run
  #     EncryptedS3Service::Indexing.new(nil, blobs: organisation.blobs).run_all
  #
  # Each such file is read completely once and checked ({Client::Index#index}). Its content is not kept. A file that has
  # a map costs two small requests, so a run may be killed at any moment and repeated. Files of at most `memory_limit`
  # bytes cost no request.
  class Indexing
    # Default number of files processed at once.
    CONCURRENCY = 4

    # The results for one service.
    class Tally
      # @return [String]
      attr_reader :service_name

      # @return [Hash{Symbol => Integer}] objects by result: `:stored`, `:present`, `:small`, `:impossible` (legacy
      #   objects), `:lacking` (in a dry run), `:disabled` (`segment_index` of the service is false), `:missing`,
      #   `:unfinished` (missing, and their blobs are not attached) and `:failed`
      attr_reader :outcomes

      # @param service_name [String]
      # @api private
      def initialize(service_name)
        @service_name = service_name
        @outcomes = Hash.new(0)
      end

      # @return [Integer] objects that failed or are missing
      def failed = outcomes.values_at(:failed, :missing).sum
    end

    # @return [Rotation::ServiceSelection]
    # @api private
    attr_reader :selection

    # @return [TaskRun::Failures]
    # @api private
    attr_reader :run_failures

    # Checks the arguments without accessing the store.
    # @param service [Symbol, String, ActiveStorage::Service, nil] the service or its name, also a tenant's; of a
    #   mirror, all its services that encrypt; nil for all services of the blobs, in one run ({#run_all})
    # @param blobs [ActiveRecord::Relation] of ActiveStorage::Blob: those to index, if they are in the service
    # @param dry_run [Boolean] whether to read and store nothing and only report which files lack a map
    # @param concurrency [Integer] number of files processed at once
    # @param rate [Numeric, nil] maximum number of objects per second
    # @param failures [String, nil] path of a file to write with one line per failure
    # @param output [IO, nil] receives progress and failures
    # @raise [ConfigurationError] when the service does not exist or does not encrypt, or the file cannot be written
    # @raise [KeyDestroyedError] when its key is destroyed
    def initialize(service, blobs: TaskRun::Rows.blobs, dry_run: false, concurrency: CONCURRENCY, rate: nil,
                   failures: nil, output: nil)
      large = blobs.where(ActiveStorage::Blob.arel_table[:byte_size].gt(Configuration::SMALLEST_MEMORY_LIMIT))
      @walk = Rotation::BlobWalk.new(service, large, concurrency: concurrency, rate: rate, failures: failures,
                                                     output: output)
      @selection = @walk.selection
      @run_failures = @walk.failures
      @dry_run = dry_run
    end

    # @return [Tally] the results for the one service. Failures are counted in it and not raised
    def run = run_all.fetch(selection.only) { Tally.new(selection.only) }

    # @return [Hash{String => Tally}] the results of the services that have large files, by name
    def run_all
      tallies = Hash.new { |all, name| all[name] = Tally.new(name) }
      @walk.each(@dry_run ? "checked" : "processed", method(:index), moving: !@dry_run) do |name, findings|
        findings.each { |finding| tallies[name].outcomes[finding.outcome] += 1 }
      end
      tallies.default = nil
      tallies
    end

    private

    # Runs in several threads.
    def index(item)
      @walk.objects(item) do |service, blob|
        outcome = outcome(service.client, blob)
        delete_map(service.client, blob) if outcome == :stored && TaskRun::Rows.purged?(blob)
        Rotation::Finding.new(outcome: outcome)
      end
    end

    # The map of a blob that was purged meanwhile may have been stored after its object was deleted.
    def delete_map(client, blob) = client.delete("#{blob.key}#{Configuration::SEGMENTS_SUFFIX}")

    def outcome(client, blob)
      return :disabled unless client.configuration.segment_index?
      return :small if blob.byte_size <= client.configuration.memory_limit

      client.index(blob.key, dry_run: @dry_run)
    end
  end
end
