# frozen_string_literal: true

require "encrypted_s3_service"

module EncryptedS3Service
  # Wraps the data keys of a service's files with its writing key (`encryption_key`) while the application runs. The
  # former key must be in `decryption_keys` until then.
  #
  #     EncryptedS3Service::Rotation.new(:encrypted_amazon).run
  #     EncryptedS3Service::Rotation.new(:"encrypted_amazon@42", blobs: organisation.blobs).run
  #
  # Bodies are not moved: the store replaces the envelope by copying each object onto itself, atomically
  # ({Client::Rewrap#rotate}). Files already under the writing key are not changed and cost one HEAD request each. So a
  # run may be killed at any moment and repeated. Some stores report that they have copied an object but change nothing,
  # so the first rotated object of each store is checked.
  #
  # If the configuration reads instruction files, an envelope in such a file is replaced there. Other files that are
  # archived (Glacier) or locked (Object Lock) are not changed and count as failures, with the reason.
  #
  # The format of a file stays the same. A V2 file where V3 is written (`commitment_policy`), or a file in a legacy
  # form, must be encrypted again instead. This moves its body through this process and gives it the tags and the
  # storage class of the service's `upload` settings. It happens only if `reencrypt` is true, and then also to files
  # with their envelopes in instruction files. Each such file is compared with its blob's checksum on the way and read
  # back afterwards. Files must not be migrated away meanwhile ({Migration}).
  #
  # Variants and preview images are blobs of their own and rotated like others, if they are tracked. Untracked variants
  # (`variants/<key>/…`) have no rows: delete them before you remove the old key
  # (`service.delete_prefixed("variants/")`). They are generated again when they are requested.
  class Rotation
    # Loaded in the class, so that these files, which add to it, find it and do not load this file again.
    require_relative "rotation/blob_walk"
    require_relative "rotation/rewrap"
    require_relative "rotation/tally"

    autoload :Audit, "encrypted_s3_service/maintenance/rotation/audit"

    # Default number of files processed at once.
    CONCURRENCY = 4

    # @return [ServiceSelection]
    # @api private
    attr_reader :selection

    # @return [TaskRun::Failures]
    # @api private
    attr_reader :run_failures

    # Checks the arguments without accessing the store.
    # @param service [Symbol, String, ActiveStorage::Service, nil] the service or its name, also a tenant's (see
    #   {TenantKeys}); of a mirror, all its services that encrypt; nil for all services of the blobs, in one run
    #   ({#run_all})
    # @param blobs [ActiveRecord::Relation] of ActiveStorage::Blob: those to rotate, if they are in the service
    # @param reencrypt [Boolean] whether to encrypt files again for which rotation is not enough
    # @param dry_run [Boolean] whether to change nothing and only report what a run would do. The report relies on the
    #   objects' metadata: nothing is unwrapped, so files without a key id count as files to rotate
    # @param verify [Boolean] whether to check the new envelope of every object, by one more HEAD request each, and not
    #   only of the first
    # @param concurrency [Integer] number of files processed at once
    # @param rate [Numeric, nil] maximum number of objects per second
    # @param failures [String, nil] path of a file to write with one line per failure
    # @param output [IO, nil] receives progress and failures
    # @raise [ConfigurationError] when the service does not exist or does not encrypt, or the file cannot be written
    # @raise [KeyDestroyedError] when its key is destroyed
    def initialize(service, blobs: TaskRun::Rows.blobs, reencrypt: false, dry_run: false, verify: false,
                   concurrency: CONCURRENCY, rate: nil, failures: nil, output: nil)
      @walk = BlobWalk.new(service, blobs, concurrency: concurrency, rate: rate, failures: failures, output: output)
      @selection = @walk.selection
      @run_failures = @walk.failures
      @verb = dry_run ? "checked" : "processed"
      @step = Rewrap.new(@walk, reencrypt: reencrypt, dry_run: dry_run, verify: verify)
    end

    # @return [Tally] the results for the one service. Failures are counted in it and not raised
    # @raise [NotRotatedError] when the store does not return the new envelope of an object: the old key is still needed
    def run = run_all[selection.only]

    # @return [Hash{String => Tally}] the results of the services that have files, by name
    # @raise (see #run)
    def run_all
      tallies = Hash.new { |all, name| all[name] = Tally.new(name, run_failures) }
      @walk.each(@verb, @step) { |name, findings| tallies[name].add(findings) }
      tallies
    end
  end
end
