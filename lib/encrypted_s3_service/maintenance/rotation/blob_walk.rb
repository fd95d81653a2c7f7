# frozen_string_literal: true

require_relative "../task_run/rate_limit"
require_relative "../task_run/progress"
require_relative "../task_run/services"
require_relative "../task_run/unfinished_upload"
require_relative "../task_run/workers"
require_relative "finding"

module EncryptedS3Service
  class Rotation
    # The files that blobs have in one service, and a way through all of them.
    # @api private
    class BlobWalk
      # Blobs whose rows are read at once.
      BATCH = 500
      private_constant :BATCH

      # @return [String] the name of the service, as blobs have it
      attr_reader :service_name

      # @return [Array<ActiveStorage::Service::EncryptedS3Service>] those that it consists of and that encrypt
      attr_reader :services

      # @param service [Symbol, String, ActiveStorage::Service]
      # @param blobs [ActiveRecord::Relation] of ActiveStorage::Blob, of any services
      # @param concurrency [Integer]
      # @param rate [Numeric, nil] the most objects a second
      # @param output [IO, nil]
      # @raise [ConfigurationError]
      # @raise [KeyDestroyedError]
      def initialize(service, blobs, concurrency:, rate:, output:)
        service = TaskRun::Services.fetch(service) unless service.is_a?(ActiveStorage::Service)
        @service_name = service.name.to_s
        @services = TaskRun::Services.encrypted_parts_of(service)
        raise ConfigurationError, "#{@service_name} is no EncryptedS3 service" if @services.empty?
        if @services.any? { |part| part.client.is_a?(KeylessClient) }
          raise KeyDestroyedError, "the key of #{@service_name} is destroyed: there is nothing to be done for its files"
        end

        @blobs = blobs.where(service_name: @service_name)
        @workers = TaskRun::Workers.new(concurrency)
        @pace = TaskRun::RateLimit.new(rate)
        @progress = TaskRun::Progress.new(output)
      end

      # Does something with every file, several at once.
      # @param verb [String] what happens to files
      # @param step [#call] is given a blob's id, in a thread, and returns an Array of {Finding}, one for each service
      # @yieldparam findings [Array<Finding>]
      # @return [void]
      def each(verb, step)
        @progress.begin(verb, @blobs, moving: false)
        @blobs.in_batches(of: BATCH) do |batch|
          @workers.each(batch.ids, step) do |id, findings|
            findings = [Finding.failed(findings, "blob #{id}")] if findings.is_a?(Exception)
            yield findings
            show(findings)
          end
        end
      ensure
        @progress.finish
      end

      # Looks at the objects of one blob, each in its turn.
      # @param id [Object] of a blob
      # @yieldparam service [ActiveStorage::Service::EncryptedS3Service]
      # @yieldparam blob [ActiveStorage::Blob]
      # @yieldreturn [Finding]
      # @return [Array<Finding>] less what was purged meanwhile
      def objects(id)
        blob = row(id) or return []
        services.filter_map do |service|
          @pace.wait
          yield service, blob
        rescue NotFoundError => e
          # Whoever purges a blob deletes its row first.
          missing(id, e, name_of(blob, service)) if row(id)
        rescue StandardError => e
          Finding.failed(e, name_of(blob, service)) if row(id)
        end
      end

      # @param blob [ActiveStorage::Blob]
      # @param service [ActiveStorage::Service]
      # @return [String] what is said of an object
      def name_of(blob, service) = "blob #{blob.id}, object #{blob.key} of #{service.name}"

      # A connection is held for the time of a query, not for that of a request to the store. Workers have a query
      # cache, in which a row that is gone by now would still be.
      # @param id [Object]
      # @return [ActiveStorage::Blob, nil] nil when it is in this service no more
      def row(id)
        ActiveStorage::Blob.connection_pool.with_connection do
          ActiveStorage::Blob.uncached { ActiveStorage::Blob.find_by(id: id, service_name: service_name) }
        end
      end

      private

      def missing(id, error, name)
        return Finding.new(outcome: :unfinished, object: name) if TaskRun::UnfinishedUpload.of?(id)

        Finding.failed(error, name, outcome: :missing)
      end

      def show(findings)
        failures = findings.select(&:failure?)
        failures.any? ? failures.each { |failure| @progress.report(failure) } : @progress.add
      end
    end
  end
end
