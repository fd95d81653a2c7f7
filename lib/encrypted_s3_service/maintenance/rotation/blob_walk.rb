# frozen_string_literal: true

require_relative "../task_run/chosen_blobs"
require_relative "../task_run/failures"
require_relative "../task_run/progress"
require_relative "../task_run/rate_limit"
require_relative "../task_run/rows"
require_relative "../task_run/workers"
require_relative "service_selection"
require_relative "tally"

module EncryptedS3Service
  class Rotation
    # Goes through the blobs of one or all services in batches, once for any number of tenants.
    # @api private
    class BlobWalk
      # Blobs per query.
      BATCH = 500
      # Outcomes that count as failures.
      FAILED = %i[failed missing immovable unencrypted].freeze
      private_constant :BATCH

      # A blob and the services that have its objects.
      Item = Data.define(:blob, :services)
      private_constant :Item

      # @return [ServiceSelection]
      attr_reader :selection

      # @return [TaskRun::Failures]
      attr_reader :failures

      # @param service [Symbol, String, ActiveStorage::Service, nil] see {ServiceSelection}
      # @param blobs [ActiveRecord::Relation] of ActiveStorage::Blob, of any services
      # @param concurrency [Integer]
      # @param rate [Numeric, nil] maximum number of objects per second
      # @param failures [String, nil] path of a file
      # @param output [IO, nil]
      # @param uses_keys [Boolean] see {ServiceSelection}
      # @raise [ConfigurationError]
      # @raise [KeyDestroyedError]
      def initialize(service, blobs, concurrency:, rate:, failures:, output:, uses_keys: true)
        @selection = ServiceSelection.new(service, uses_keys: uses_keys)
        @blobs = TaskRun::ChosenBlobs.of(selection.among(blobs))
        @workers = TaskRun::Workers.new(concurrency)
        @pace = TaskRun::RateLimit.new(rate)
        @progress = TaskRun::Progress.new(output)
        @failures = TaskRun::Failures.new(failures)
      end

      # Runs a step for every file, several at once.
      # @param verb [String] past participle for the progress line
      # @param step [#call] receives an item for {#objects}, in a thread, and returns an Array of {Finding}, one for
      #   each service
      # @param moving [Boolean] whether the bytes of files are moved, so that the time also depends on the size
      # @yieldparam service_name [String]
      # @yieldparam findings [Array<Finding>]
      # @return [void]
      def each(verb, step, moving: false)
        @progress.begin(verb, @blobs, moving: moving)
        @blobs.in_batches(BATCH, load: true) do |batch|
          # A relation with a join may have a blob several times.
          @workers.each(items_of(batch.to_a.uniq), step) do |item, findings|
            findings = [Finding.failed(item.blob.id, findings)] if findings.is_a?(Exception)
            yield item.blob.service_name, findings
            note(findings, moving ? item.blob.byte_size : 0)
          end
        end
      ensure
        @progress.finish
        @failures.close
      end

      # Processes the objects of one blob, one after the other.
      # @param item [Item]
      # @yieldparam service [ActiveStorage::Service::EncryptedS3Service]
      # @yieldparam blob [ActiveStorage::Blob]
      # @yieldreturn [Finding]
      # @return [Array<Finding>] without objects that were purged meanwhile
      def objects(item)
        item.services.filter_map do |service|
          @pace.wait
          yield service, item.blob
        rescue NotRotatedError
          # Every other object of the store would fail in the same way.
          raise
        rescue StandardError => e
          # Purging deletes the row first.
          failed(item.blob, service, e) if TaskRun::Rows.there?(item.blob)
        end
      end

      # @param blob [ActiveStorage::Blob]
      # @param service [ActiveStorage::Service]
      # @return [String] name of an object for messages
      def self.name_of(blob, service) = "object #{blob.key} of #{service.name}"

      private

      # Each service is looked up once in a batch.
      def items_of(batch)
        batch.group_by(&:service_name).flat_map do |name, blobs|
          services = selection.parts(name)
          blobs.each { @progress.skip } if services.empty?
          services.each { |service| service.client.forget_aliases }
          services.empty? ? [] : blobs.map { |blob| Item.new(blob: blob, services: services) }
        end
      end

      def failed(blob, service, error)
        missing = error.is_a?(NotFoundError)
        return Finding.new(outcome: :unfinished) if missing && TaskRun::Rows.unfinished_upload?(blob)

        Finding.failed(blob.id, error, outcome: missing ? :missing : :failed, object: self.class.name_of(blob, service))
      end

      def note(findings, bytes)
        failed = findings.select { |finding| FAILED.include?(finding.outcome) }
        return @progress.add(bytes) if failed.empty?

        failed.each do |finding|
          @failures.add(finding.failure, finding.outcome)
          @progress.report(finding.failure)
        end
      end
    end
  end
end
