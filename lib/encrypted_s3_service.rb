# frozen_string_literal: true

require "logger"
require_relative "encrypted_s3_service/version"
require_relative "encrypted_s3_service/errors"
require_relative "encrypted_s3_service/former_names"
require_relative "encrypted_s3_service/native"

# Client-side encryption for files on S3: files are encrypted in this process, in the envelope format of Amazon's S3
# Encryption Client, before they are uploaded.
#
# Rails applications use it through Active Storage (`service: EncryptedS3` in `config/storage.yml`), other programs
# through {EncryptedS3Service::Client}.
module EncryptedS3Service
  # Loaded with the gem and not on first use, because Active Storage reports every LoadError in its service lookup as
  # "Missing service adapter", which hides a missing extension.
  NativeLoader.load

  class << self
    # The logger for events that cannot be raised as exceptions.
    # @return [Logger]
    attr_writer :logger

    # @return [Logger] `Rails.logger` in a Rails application, else one that writes to standard error
    def logger = @logger ||= Logger.new($stderr, progname: "encrypted_s3_service")

    # @return [Boolean] whether the extension was built with the FIPS build of AWS-LC. Such an extension loads in FIPS
    #   mode only. See docs/fips.md
    def fips? = Native.fips?
  end

  autoload :DecryptionEvents, "encrypted_s3_service/decryption_events"
  autoload :Checksum, "encrypted_s3_service/client/checksum"
  autoload :Client, "encrypted_s3_service/client"
  autoload :Configuration, "encrypted_s3_service/configuration"
  autoload :CLI, "encrypted_s3_service/cli"
  autoload :CustodiedKey, "encrypted_s3_service/keys/custodied_key"
  autoload :DerivedKeys, "encrypted_s3_service/keys/derived"
  autoload :EncryptionKey, "encrypted_s3_service/keys/encryption_key"
  autoload :KeyCustody, "encrypted_s3_service/keys/custody"
  autoload :KeyReference, "encrypted_s3_service/keys/reference"
  autoload :KmsKey, "encrypted_s3_service/keys/kms_key"
  autoload :KeylessClient, "encrypted_s3_service/client/keyless"
  autoload :RecoveryClient, "encrypted_s3_service/client/recovery"

  # These need Rails.
  autoload :RequiredService, "encrypted_s3_service/tenancy/required_service"
  autoload :AttachmentRows, "encrypted_s3_service/tenancy/attachment_rows"
  autoload :AttachmentValidator, "encrypted_s3_service/tenancy/attachment_validator"
  autoload :BlobCopies, "encrypted_s3_service/tenancy/blob_copies"
  autoload :BlobCopy, "encrypted_s3_service/tenancy/blob_copy"
  autoload :CarriedTenant, "encrypted_s3_service/tenancy/carried_tenant"
  autoload :Controller, "encrypted_s3_service/tenancy/controller"
  autoload :CurrentTenant, "encrypted_s3_service/tenancy/current_tenant"
  autoload :DirectUploads, "encrypted_s3_service/direct_uploads"
  autoload :Doctor, "encrypted_s3_service/doctor"
  autoload :Indexing, "encrypted_s3_service/maintenance/indexing"
  autoload :Job, "encrypted_s3_service/tenancy/job"
  autoload :JobContext, "encrypted_s3_service/tenancy/job_context"
  autoload :LateBodies, "encrypted_s3_service/tenancy/late_bodies"
  autoload :LiveStreams, "encrypted_s3_service/tenancy/live_streams"
  autoload :Migration, "encrypted_s3_service/maintenance/migration"
  autoload :MirrorJobs, "encrypted_s3_service/tenancy/mirror_jobs"
  autoload :MixedMirrors, "encrypted_s3_service/tenancy/mixed_mirrors"
  autoload :RefusedUploads, "encrypted_s3_service/tenancy/refused_uploads"
  autoload :RichTextEmbeds, "encrypted_s3_service/tenancy/rich_text_embeds"
  autoload :Rotation, "encrypted_s3_service/maintenance/rotation"
  autoload :TransactionEnd, "encrypted_s3_service/tenancy/transaction_end"
  autoload :Tenant, "encrypted_s3_service/tenancy/tenant"
  autoload :TestHelper, "encrypted_s3_service/test_helper"
  autoload :ReportSignature, "encrypted_s3_service/maintenance/report_signature"
  autoload :DestructionReport, "encrypted_s3_service/maintenance/destruction_report"
  autoload :UnreadableFiles, "encrypted_s3_service/maintenance/unreadable_files"

  # Not used by requests and jobs.
  FOR_TASKS = %i[
    CLI DestructionReport Doctor Indexing Migration RecoveryClient ReportSignature Rotation UnreadableFiles
  ].freeze
  private_constant :FOR_TASKS

  # Loads everything that a server needs. Rails calls it if `config.eager_load` is true, so that forked workers share
  # the code and the first request does not wait for it.
  # @return [void]
  def self.eager_load!
    (constants - FOR_TASKS).each { |name| const_get(name) }
    DirectUploads.eager_load!
    require "active_storage/service/encrypted_s3_service"
  end
end

require_relative "encrypted_s3_service/keys/custody"
require_relative "encrypted_s3_service/engine" if defined?(Rails::Engine)
