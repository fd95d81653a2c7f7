# frozen_string_literal: true

require "encrypted_s3_service"
require_relative "migration/copy"
require_relative "migration/failure"
require_relative "migration/former_keys"
require_relative "migration/endpoints"
require_relative "migration/rehearsal"
require_relative "migration/relatives"
require_relative "migration/removal"
require_relative "task_run/progress"
require_relative "task_run/workers"

module EncryptedS3Service
  # Moves files from one Active Storage service to another, whichever they are, while the application runs. Exchanging
  # the two moves them back.
  #
  #     EncryptedS3Service::Migration.new(from: :amazon, to: :encrypted_amazon).run
  #
  #     # One tenant's files, under the tenant's own key.
  #     to = EncryptedS3Service.tenant_service(:encrypted_amazon, organisation)
  #     EncryptedS3Service::Migration.new(from: :amazon, to: to, blobs: organisation.blobs).run
  #
  # For each blob: the file is copied, the copy is read back and compared, and only then the blob's row names the new
  # service. Until then readers use the old file, after that the new one. Nothing is deleted unless `delete` says so,
  # and then only files whose copy was read back once more. So it may be killed at any moment and run again: what was
  # moved stays moved, what was half copied is copied anew.
  #
  # Where both keep their files in the same place (one bucket, before and after encryption, or a tenant's own key in it)
  # a file gets a new key, so that no copy ever overwrites the file that it is a copy of. Elsewhere keys stay the same.
  #
  # Tracked variants and preview images are blobs of their own and go with the files they belong to. Variants that are
  # not tracked (`variants/<key>/…`) have no rows; they are made anew when they are asked for.
  class Migration
    # Blobs whose rows are read at once.
    BATCH = 500
    # Files on their way at once unless it is said otherwise.
    CONCURRENCY = 4

    # What was done: `moved` (Integer, files that the new service has now), `bytes` (Integer, of those), `removed`
    # (Integer, old files deleted), `unfinished` (Integer, blobs without a file that are attached to nothing: uploads
    # that were never finished; they are left) and `failures` (Array<Failure>).
    Result = Data.define(:moved, :bytes, :removed, :unfinished, :failures)

    # Checks the names; the storage is not touched.
    # @param from [Symbol, String] the name of a service
    # @param to [Symbol, String] the name of another; that of a tenant's service, too (see {TenantKeys})
    # @param blobs [ActiveRecord::Relation] of ActiveStorage::Blob: which are moved, if they are in `from`. It need not
    #   ask for the service, and must not if old files are to be deleted, since their blobs are in `to` then
    # @param delete [Boolean] whether old files are deleted afterwards, those of earlier runs included
    # @param dry_run [Boolean] whether it is only looked which files would be moved, and whether they are there
    # @param concurrency [Integer] files on their way at once
    # @param output [IO, nil] where progress and failures are shown
    # @raise [ConfigurationError] when there is no such service
    def initialize(from:, to:, blobs: ActiveStorage::Blob.all, delete: false, dry_run: false, concurrency: CONCURRENCY,
                   output: nil)
      @endpoints = Endpoints.new(from, to)
      @blobs = blobs
      @delete = delete
      @dry_run = dry_run
      @workers = TaskRun::Workers.new(concurrency)
      @progress = TaskRun::Progress.new(output)
    end

    # @return [Result]
    def run
      return examine if @dry_run

      announce_new_keys if @endpoints.shared?
      moved = pass("moved", @endpoints.from_name, Copy.new(@endpoints))
      removed = @delete ? pass("deleted", @endpoints.to_name, Removal.new(@endpoints)) : Pass.begin
      Result.new(moved: moved.files, bytes: moved.bytes, removed: removed.files, unfinished: moved.unfinished,
                 failures: moved.failures + removed.failures)
    end

    private

    # Files gone through, their bytes, what failed, and uploads that were never finished.
    Pass = Struct.new(:files, :bytes, :failures, :unfinished) do
      # @return [Pass] before its first file
      # @api private
      def self.begin = new(0, 0, [], 0)
    end
    private_constant :Pass

    def announce_new_keys
      @progress.say("#{@endpoints.from_name} and #{@endpoints.to_name} keep their files in the same place: each file " \
                    "gets a new key.")
    end

    def examine
      found = pass("to be moved", @endpoints.from_name, Rehearsal.new(@endpoints))
      Result.new(moved: found.files, bytes: found.bytes, removed: 0, unfinished: found.unfinished,
                 failures: found.failures)
    end

    # Does `step` for all blobs that are in the service `name`.
    def pass(verb, name, step)
      result = Pass.begin
      @progress.begin(verb, @blobs.where(service_name: name))
      each_group do |ids|
        # A variant is met with its picture and by itself.
        ids = ActiveStorage::Blob.where(id: ids, service_name: name).ids - result.failures.map(&:blob_id)
        @workers.each(ids, step) { |id, outcome| count(result, id, outcome) }
        step.finish(ids)
      end
      result
    ensure
      @progress.finish
    end

    # Relatives before those they belong to: a relation that asks for the service in which a blob is finds a picture as
    # long as one of its variants is still to be moved.
    def each_group(&)
      @blobs.in_batches(of: BATCH) do |batch|
        Relatives.generations(batch.ids).reverse_each(&)
      end
    end

    def count(result, id, outcome)
      case outcome
      when Integer
        result.files += 1
        result.bytes += outcome
        @progress.add(outcome)
      when nil
        @progress.skip
      when :unfinished
        result.unfinished += 1
        @progress.skip
      else
        result.failures << (failure = Failure.of(id, outcome))
        @progress.report(failure)
      end
    end
  end
end
