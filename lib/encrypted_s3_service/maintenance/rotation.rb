# frozen_string_literal: true

require "encrypted_s3_service"
require_relative "rotation/rewrap"
require_relative "rotation/blob_walk"
require_relative "rotation/rehearsal"
require_relative "rotation/tally"

module EncryptedS3Service
  # Has a service's files under its writing key (`encryption_key`), while the application runs. The key they are under
  # has to be among its `decryption_keys` until then.
  #
  #     EncryptedS3Service::Rotation.new(:encrypted_amazon).run
  #     EncryptedS3Service::Rotation.new(:"encrypted_amazon@42", blobs: organisation.blobs).run
  #
  # Bodies stay where they are; the store copies each object onto itself with another envelope, in one step in which
  # readers see either ({Client::Rewrap#rotate}). Files under the writing key already are left alone, at the price of
  # one HEAD request each. So it may be killed at any moment and run again.
  #
  # The format of a file stays what it is. What is V2 where V3 is written (`commitment_policy`), in a legacy form, or
  # has its envelope in an instruction file has to be encrypted anew instead, which moves its body through this process
  # and gives it the tags and the storage class that the service's `upload` settings say; that happens only where
  # `reencrypt` is true. Each such file is compared with its blob's checksum on the way and read back afterwards. Files
  # must not be migrated away meanwhile ({Migration}).
  #
  # Variants and preview images are blobs of their own and rotated like others, if they are tracked. Variants that are
  # not (`variants/<key>/…`) have no rows: before the old key is taken away they have to be deleted
  # (`service.delete_prefixed("variants/")`), and are then made anew when they are asked for.
  class Rotation
    # Files on their way at once unless it is said otherwise.
    CONCURRENCY = 4

    # Checks what it is given; the storage is not touched.
    # @param service [Symbol, String, ActiveStorage::Service] or its name; that of a tenant's service, too (see
    #   {TenantKeys}). Of a mirror all services that encrypt are meant
    # @param blobs [ActiveRecord::Relation] of ActiveStorage::Blob: which are rotated, if they are in the service
    # @param reencrypt [Boolean] whether files for which rotation is not enough are encrypted anew
    # @param dry_run [Boolean] whether it is only looked what would be done, by what the objects say of themselves:
    #   nothing is unwrapped, so files without a key's id count as to be rotated
    # @param concurrency [Integer] files at once
    # @param rate [Numeric, nil] the most objects a second
    # @param output [IO, nil] where progress and failures are shown
    # @raise [ConfigurationError] when there is no such service, or it does not encrypt
    # @raise [KeyDestroyedError] when its key is destroyed
    def initialize(service, blobs: ActiveStorage::Blob.all, reencrypt: false, dry_run: false, concurrency: CONCURRENCY,
                   rate: nil, output: nil)
      @files = BlobWalk.new(service, blobs, concurrency: concurrency, rate: rate, output: output)
      @verb = dry_run ? "looked at" : "gone through"
      step = dry_run ? Rehearsal : Rewrap
      @step = step.new(@files, reencrypt: reencrypt)
    end

    # @return [Tally] what was done; what failed is in it, and nothing is raised for it
    def run
      tally = Tally.new(@files)
      @files.each(@verb, @step) { |findings| tally.add(findings) }
      tally
    end
  end
end
