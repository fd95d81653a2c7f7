# frozen_string_literal: true

require "encrypted_s3_service"
require_relative "task_run/chosen_blobs"
require_relative "task_run/failures"
require_relative "task_run/progress"
require_relative "task_run/rows"
require_relative "task_run/workers"

module EncryptedS3Service
  # Moves files between any two Active Storage services while the application runs. Swapping `from` and `to` moves them
  # back.
  #
  #     EncryptedS3Service::Migration.new(from: :amazon, to: :encrypted_amazon).run
  #
  #     # One tenant's files, under the tenant's own key.
  #     to = EncryptedS3Service.tenant_service(:encrypted_amazon, organisation)
  #     EncryptedS3Service::Migration.new(from: :amazon, to: to, blobs: organisation.blobs).run
  #
  # For each blob the file is copied, the copy is read back and compared, and only then the blob's row is changed to the
  # new service. Readers use the old file until then. Nothing is deleted without `delete`, and then only files whose
  # copy was verified once more and that no other row names. So a run can be killed at any time and repeated: moved
  # files stay moved, and incomplete copies are made again.
  #
  # If both services store their files in the same place (the same bucket, with and without encryption or with another
  # encryption key), a file gets a new key, so that a copy never overwrites its source. Otherwise keys stay the same.
  # The service and key of each old file are kept in a table ({FormerKeys}) until it is deleted, even if the blob is
  # purged.
  #
  # Tracked variants and preview images are blobs and are moved together with their originals. Untracked variants
  # (`variants/<key>/…`) have no rows; they are generated again when they are requested.
  class Migration
    # Loaded in the class, so that these files, which add to it, find it and do not load this file again.
    require_relative "migration/copy"
    require_relative "migration/endpoints"
    require_relative "migration/former_keys"
    require_relative "migration/relatives"
    require_relative "migration/removal"
    require_relative "migration/survey"

    # Loaded on first use, because Active Storage's models must be loaded before.
    autoload :FormerKey, "#{__dir__}/migration/former_key"

    # Blobs per query.
    BATCH = 500
    # Default number of files processed at once.
    CONCURRENCY = 4
    # Maximum number of remembered ids of failed blobs, which are not tried again together with their originals.
    REMEMBERED = 100_000
    # Agrees to every {Plan}.
    AGREED = ->(_plan) { true }
    private_constant :REMEMBERED, :AGREED

    # A blob that could not be moved, or whose old file could not be deleted: `blob_id` and `reason`.
    Failure = TaskRun::Failure

    # Old files that would be deleted: `count` (Integer), `bytes` (Integer) and `services` (Array<String>, the services
    # with these files).
    Plan = Data.define(:count, :bytes, :services) do
      # @return [String]
      def to_s
        "#{TaskRun::Progress.counted(count, "old file")} (#{TaskRun::Progress.size(bytes)}) in #{services.join(", ")}"
      end
    end

    # The results: `moved` (Integer, files that the new service has now), `bytes` (Integer, of those), `corrected`
    # (Integer, rows that got the right checksum or size), `removed` (Integer, old files that were deleted),
    # `plan` ({Plan}, the old files to delete; nil if there were none), `confirmed` (Boolean, false when the plan was
    # not agreed to), `doubtful` (Array, ids of at most a thousand blobs whose former keys cannot be verified;
    # nothing was deleted for those), `unfinished` (Integer, blobs without a file that are attached to nothing: uploads
    # that were never finished; they are left), `failed` (Integer) and `failures` (Array<Failure>, the first thousand of
    # them).
    Result = Data.define(:moved, :bytes, :corrected, :removed, :plan, :confirmed, :doubtful, :unfinished, :failed,
                         :failures)

    # Creates the table for the keys of old files, for applications that do this in a migration of their own and not in
    # the task:
    #
    #     def up = EncryptedS3Service::Migration.create_former_keys_table(connection)
    #
    # @param connection [ActiveRecord::ConnectionAdapters::AbstractAdapter] of Active Storage's database
    # @return [void]
    def self.create_former_keys_table(connection) = FormerKeys.create_table(connection)

    # Checks the arguments without accessing the stores.
    # @param from [Symbol, String] name of the present service
    # @param to [Symbol, String] name of the new service, which can be a tenant's (see {TenantKeys})
    # @param blobs [ActiveRecord::Relation] of ActiveStorage::Blob: those to move, if they are in `from`. It need not
    #   filter by service, and must not if old files are to be deleted, because their blobs are in `to` by then
    # @param delete [Boolean] whether old files are deleted afterwards, those of earlier runs included; if `blobs` is
    #   all of them, also those of blobs that were purged since
    # @param confirm [#call] receives the {Plan} before anything is deleted, and returns whether to continue
    # @param dry_run [Boolean] whether to change nothing and only report the files to move and the missing files
    # @param repair_checksums [Boolean] whether to accept the present content of a file if its row has no usable
    #   checksum (an ETag, a placeholder, nothing), and to correct the row. A wrong size is corrected as well
    # @param concurrency [Integer] number of files processed at once
    # @param failures [String, nil] path of a file to write with one line per failure
    # @param output [IO, nil] receives progress and failures
    # @raise [ConfigurationError] when a service does not exist, or the file cannot be written
    def initialize(from:, to:, blobs: TaskRun::Rows.blobs, delete: false, confirm: AGREED, dry_run: false,
                   repair_checksums: false, concurrency: CONCURRENCY, failures: nil, output: nil)
      @endpoints = Endpoints.new(from, to)
      @blobs = TaskRun::ChosenBlobs.of(blobs)
      @delete = delete
      @confirm = confirm
      @dry_run = dry_run
      @copy = Copy.new(@endpoints, dry_run: dry_run, repair: repair_checksums)
      @workers = TaskRun::Workers.new(concurrency)
      @progress = TaskRun::Progress.new(output)
      @failures = TaskRun::Failures.new(failures)
      @failed_ids = Set.new
    end

    # @return [Result]
    # @raise [ConfigurationError] if the database is read-only, or the table of former keys cannot be created
    def run
      prepare unless @dry_run
      announce_new_keys if @endpoints.shared?
      moved = pass(@dry_run ? "to be moved" : "moved", @endpoints.from_name, @copy)
      @delete ? result(moved, **remove(moved)) : result(moved)
    ensure
      @failures.close
    end

    private

    # What a step has done for one blob, which may have several old files.
    Outcome = Data.define(:files, :bytes) do
      # @param file_size [Integer, nil] column of the blob
      # @return [Outcome, nil] nil without files
      # @api private
      def self.of(files, file_size) = (new(files: files, bytes: files * file_size.to_i) if files.positive?)
    end
    # Processed files, their bytes, and uploads that were never finished.
    Pass = Struct.new(:files, :bytes, :unfinished) do
      # @return [Pass] before its first file
      # @api private
      def self.begin = new(0, 0, 0)
    end
    private_constant :Outcome, :Pass

    # Fails before any file is copied, because the rows could not be changed afterwards.
    def prepare
      TaskRun::Rows.require_writable
      FormerKeys.prepare
    end

    def announce_new_keys
      @progress.say("#{@endpoints.from_name} and #{@endpoints.to_name} store files in the same place: each file " \
                    "gets a new key.")
    end

    def result(moved, plan: nil, confirmed: true, removed: 0, doubtful: [])
      Result.new(moved: moved.files, bytes: moved.bytes, corrected: @copy.corrected, removed: removed, plan: plan,
                 confirmed: confirmed, doubtful: doubtful, unfinished: moved.unfinished, failed: @failures.count,
                 failures: @failures.of(:failed))
    end

    def remove(moved)
      survey = Survey.new(@endpoints)
      found = pass("counted for deletion", @endpoints.to_name, survey, purged: true)
      add(found, moved) if @dry_run
      plan = Plan.new(count: found.files, bytes: found.bytes, services: @endpoints.from_names)
      answer = { plan: plan, doubtful: survey.doubtful.to_a }
      return answer if @dry_run
      return { **answer, confirmed: false } unless @confirm.call(plan)

      removal = Removal.new(@endpoints, plan.count)
      { **answer, removed: pass("deleted", @endpoints.to_name, removal, purged: true).files }
    end

    # Files that would be moved also leave old files.
    def add(found, moved)
      found.files += moved.files
      found.bytes += moved.bytes
    end

    # Runs `step` for all blobs in the service `name`.
    def pass(verb, name, step, purged: false)
      result = Pass.begin
      @progress.begin(verb, @blobs.where(service_name: name))
      each_group do |ids|
        # After a failover the database may be read-only for some time. Further copies would be useless.
        TaskRun::Rows.require_writable unless @dry_run
        begin
          work(blobs_of(ids, name), step, result)
        ensure
          step.finish(ids)
        end
      end
      each_purged { |formers| work(formers, step.method(:purged), result) } if purged && @blobs.all?
      result
    ensure
      @progress.finish
    end

    # A variant is found both with its original and by itself.
    def blobs_of(ids, name)
      TaskRun::Rows.connected { TaskRun::Rows.blobs.where(id: ids, service_name: name).order(:id).to_a }
                   .reject { |blob| @failed_ids.include?(blob.id) }
    end

    def work(items, step, result)
      @workers.each(items, step) { |item, outcome| count(result, item, outcome) }
    end

    # Relatives come before their originals: a relation that filters by the service of a blob then finds a picture as
    # long as one of its variants is not moved yet.
    def each_group(&)
      @blobs.in_batches(BATCH) do |batch|
        Relatives.generations(batch.ids).reverse_each(&)
      end
    end

    # Former keys of purged blobs.
    def each_purged
      return unless FormerKeys.table?

      FormerKey.find_in_batches(batch_size: BATCH) do |formers|
        there = TaskRun::Rows.connected { TaskRun::Rows.blobs.where(id: formers.map(&:blob_id)).ids }.to_set(&:to_s)
        yield formers.reject { |former| there.include?(former.blob_id) }
      end
    end

    def count(result, item, outcome)
      case outcome
      when Outcome
        result.files += outcome.files
        result.bytes += outcome.bytes
        @progress.add(outcome.bytes, outcome.files)
      when nil
        @progress.skip
      when :unfinished
        result.unfinished += 1
        @progress.skip
      else
        fail_with(item, outcome)
      end
    end

    def fail_with(item, error)
      id = item.is_a?(FormerKey) ? item.blob_id : item.id
      @failed_ids << id if @failed_ids.size < REMEMBERED
      @failures.add(failure = Failure.of(id, error))
      @progress.report(failure)
    end
  end
end
