# frozen_string_literal: true

require "encrypted_s3_service"
require_relative "rotation/blob_walk"
require_relative "rotation/rewrap"
require_relative "rotation/tally"

module EncryptedS3Service
  # Wraps the data keys of a service's files with its writing key (`encryption_key`) while the application runs. The
  # former key must be in `decryption_keys` until then.
  #
  #     EncryptedS3Service::Rotation.new(:encrypted_amazon).run
  #     EncryptedS3Service::Rotation.new(:"encrypted_amazon@42", blobs: organisation.blobs).run
  #
  # Bodies stay where they are; the store copies each object onto itself with another envelope, in one step in which
  # readers see either ({Client::Rewrap#rotate}). Files under the writing key already are left alone, at the price of
  # one HEAD request each. So it may be killed at any moment and run again. Some stores answer that they have copied an
  # object and have changed nothing: each store has to show the new envelope of the first object that it rotates.
  #
  # An envelope in an instruction file, where the configuration reads those, is replaced in that file. Other files that
  # are archived (Glacier) or locked (Object Lock) are left as they are and count as failures, with the reason.
  #
  # The format of a file stays what it is. What is V2 where V3 is written (`commitment_policy`), or in a legacy form,
  # has to be encrypted anew instead, which moves its body through this process and gives it the tags and the storage
  # class that the service's `upload` settings say; that happens only where `reencrypt` is true, and then for files with
  # their envelopes in instruction files as well. Each such file is compared with its blob's checksum on the way and
  # read back afterwards. Files must not be migrated away meanwhile ({Migration}).
  #
  # Variants and preview images are blobs of their own and rotated like others, if they are tracked. Variants that are
  # not (`variants/<key>/…`) have no rows: before the old key is taken away they have to be deleted
  # (`service.delete_prefixed("variants/")`), and are then made anew when they are asked for.
  class Rotation
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
    # @param service [Symbol, String, ActiveStorage::Service, nil] or its name; that of a tenant's service, too (see
    #   {TenantKeys}). Of a mirror all services that encrypt are meant. nil takes all services that the blobs name, in
    #   one go ({#run_all})
    # @param blobs [ActiveRecord::Relation] of ActiveStorage::Blob: which are rotated, if they are in the service
    # @param reencrypt [Boolean] whether files for which rotation is not enough are encrypted anew
    # @param dry_run [Boolean] whether nothing is changed, and the run only says what it would do. It goes by what the
    #   objects say of themselves: nothing is unwrapped, so files without a key's id count as to be rotated
    # @param verify [Boolean] whether the store has to show the new envelope of every object, by one more HEAD request
    #   each
    # @param concurrency [Integer] number of files processed at once
    # @param rate [Numeric, nil] maximum number of objects per second
    # @param failures [String, nil] path of a file to write with one line per failure
    # @param output [IO, nil] receives progress and failures
    # @raise [ConfigurationError] when the service does not exist or does not encrypt, or the file cannot be written
    # @raise [KeyDestroyedError] when its key is destroyed
    def initialize(service, blobs: ActiveStorage::Blob.all, reencrypt: false, dry_run: false, verify: false,
                   concurrency: CONCURRENCY, rate: nil, failures: nil, output: nil)
      @walk = BlobWalk.new(service, blobs, concurrency: concurrency, rate: rate, failures: failures, output: output)
      @selection = @walk.selection
      @run_failures = @walk.failures
      @verb = dry_run ? "checked" : "processed"
      @step = Rewrap.new(@walk, reencrypt: reencrypt, dry_run: dry_run, verify: verify)
    end

    # @return [Tally] what was done for the one service; what failed is in it, and nothing is raised for it
    # @raise [NotRotatedError] when the store does not return the new envelope of an object: the old key is still needed
    def run = run_all[selection.only]

    # @return [Hash{String => Tally}] what was done, by the names of services, of those that have files
    # @raise (see #run)
    def run_all
      tallies = Hash.new { |all, name| all[name] = Tally.new(name, run_failures) }
      @walk.each(@verb, @step) { |name, findings| tallies[name].add(findings) }
      tallies
    end
  end
end
