# frozen_string_literal: true

require_relative "encrypted_s3_service/version"
require_relative "encrypted_s3_service/errors"
require_relative "encrypted_s3_service/native"

# Client-side encryption for files on S3: what is uploaded is encrypted on this machine, in Amazon's S3 EncryptionV2
# envelope format, before any byte of it leaves.
#
# In a Rails application it is used through Active Storage (`service: EncryptedS3` in `config/storage.yml`); without
# Rails through {EncryptedS3Service::Client}.
module EncryptedS3Service
  # Loaded with the gem and not on first use: Active Storage turns a LoadError inside its own lookup of a service into
  # "Missing service adapter", which says nothing about an extension that is not built.
  NativeLoader.load

  autoload :Audit, "encrypted_s3_service/audit"
  autoload :Checksum, "encrypted_s3_service/checksum"
  autoload :Client, "encrypted_s3_service/client"
  autoload :Configuration, "encrypted_s3_service/configuration"
  autoload :DerivedKeys, "encrypted_s3_service/derived_keys"
  autoload :EncryptionKey, "encrypted_s3_service/encryption_key"
  autoload :KeylessClient, "encrypted_s3_service/keyless_client"

  # What needs Rails.
  autoload :AttachmentService, "encrypted_s3_service/attachment_service"
  autoload :AttachmentValidator, "encrypted_s3_service/attachment_validator"
  autoload :Controller, "encrypted_s3_service/controller"
  autoload :CurrentTenant, "encrypted_s3_service/current_tenant"
  autoload :DirectUploads, "encrypted_s3_service/direct_uploads"
  autoload :Job, "encrypted_s3_service/job"
  autoload :JobSettings, "encrypted_s3_service/job_settings"
  autoload :Tenant, "encrypted_s3_service/tenant"
end

require_relative "encrypted_s3_service/engine" if defined?(Rails::Engine)
