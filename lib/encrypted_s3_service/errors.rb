# frozen_string_literal: true

module EncryptedS3Service
  # Base class of all errors of this gem. Messages name the object, the setting or the metadata entry and never contain
  # a key, a credential or plaintext.
  class Error < StandardError
    # @return [String] the {#code} of errors of this class that set none
    # @api private
    def self.default_code = name[/\w+\z/].delete_suffix("Error").gsub(/(?<=[a-z])(?=[A-Z])/, "-").downcase.freeze

    # @return [String] a stable, frozen name of the failure, more specific than the class (`"unwrap"`, `"auth"`, …)
    def code = @code ? -@code : self.class.default_code

    # @return [Integer, nil] the HTTP status of the store's response; nil when there was no response
    attr_reader :status

    # @return [String, nil] the S3 error code in the store's response (`"AccessDenied"`, …); empty when it has none
    attr_reader :store_code

    # @return [Error] `error` with its cause. Ruby can set a cause only by raising
    # @api private
    def self.caused(error, cause)
      raise error, cause: cause
    rescue Error => e
      e
    end

    # @return [Boolean] whether the same operation may succeed later
    def retryable? = false

    # The text that a report may show for an error. Messages of other libraries are omitted because they may contain a
    # signed URL or a part of a file.
    # @param error [Exception]
    # @return [String] the class, and the message of errors of this gem, of Active Storage and of the operating system.
    #   Of others also the class of the cause, without which `ActiveRecord::StatementInvalid` explains nothing
    # @api private
    def self.describe(error)
      known = error.is_a?(Error) || error.is_a?(SystemCallError) ||
              (defined?(ActiveStorage::Error) && error.is_a?(ActiveStorage::Error))
      return error.cause ? "#{error.class.name} (#{error.cause.class.name})" : error.class.name unless known

      error.message == error.class.name ? error.class.name : "#{error.class.name}: #{error.message}"
    end
  end

  # A setting is missing or wrong, or the bucket does not exist.
  class ConfigurationError < Error; end

  # The object does not exist.
  class NotFoundError < Error; end

  # The network failure behind a {TransportError}, as its `cause`. The message contains no address, header or key.
  class NetworkError < StandardError
    # @return [String] `"certificate"`, `"tls"`, `"dns"`, `"refused"`, `"unreachable"`, `"reset"`, `"timeout"` or
    #   `"proxy"`
    attr_reader :reason

    # @param message [String]
    # @param reason [String]
    def initialize(message, reason)
      super(message)
      @reason = reason
    end
  end

  # The store refused a request permanently.
  class StoreError < Error; end

  # The store rejected the credentials, or the credentials lack a permission.
  class AccessError < StoreError; end

  # The store could not be reached, timed out, or responded with a temporary failure.
  class TransportError < StoreError
    # @return [Boolean] true
    def retryable? = true
  end

  # The store's certificate was rejected or the TLS handshake failed. Nothing was sent.
  class CertificateError < TransportError
    # @return [Boolean] false
    def retryable? = false
  end

  # The object is archived (storage class GLACIER, DEEP_ARCHIVE or an archive tier). Restore it before reading it.
  class ArchivedError < StoreError; end

  # The object was replaced while it was being read.
  class ChangedError < StoreError; end

  # The store accepted a new envelope for an object but still returns the old one or none: the old key is still needed.
  class NotRotatedError < StoreError; end

  # The object has no encryption envelope, or an envelope that this gem does not support.
  class EnvelopeError < Error; end

  # The configuration does not allow reading this format.
  class PolicyError < Error; end

  # The object was encrypted for another kind of key or another context. (Not `KeyError`, which is Ruby's.)
  class KeyringError < Error; end

  # No configured key unwraps the object's data key: the key is wrong or the envelope was changed.
  class UnwrapError < KeyringError; end

  # The key was destroyed, so its files cannot be read any more. It is a tenant's key, or a key that does not exist in
  # AWS KMS.
  class KeyDestroyedError < KeyringError; end

  # The custodian of a key (OpenBao or another one) is not available. Files under the key can be used again when it is.
  class CustodianError < KeyringError
    # @return [Boolean] true
    def retryable? = true
  end

  # The custodian of a key refuses to return it: the key was revoked, or the credentials lack a permission.
  class CustodianDeniedError < CustodianError
    # @return [Boolean] false
    def retryable? = false
  end

  # The key exists but cannot be used: it is disabled in AWS KMS, or its deletion is pending.
  class KeyDisabledError < KeyringError; end

  # The content differs from the encrypted or announced content.
  class IntegrityError < Error; end

  # The object or its envelope was changed after it was encrypted. A legacy object (AES-CBC) raises this for a wrong key
  # as well: distinguishing the two would be a padding oracle.
  class TamperedError < IntegrityError; end

  # The object is truncated.
  class TruncatedError < IntegrityError; end

  # The uploaded bytes do not match the checksum that the caller gave.
  class ChecksumError < IntegrityError; end

  # The requested range begins at or after the end of the object.
  class InvalidRangeError < Error; end

  # The file is larger than the format or the store can hold.
  class TooLargeError < Error; end

  # A local file could not be read or written.
  class FileError < Error
    # @api private
    def self.default_code = "io"
  end

  # The transfer is already finished, aborted or closed.
  class ClosedError < Error; end

  # The transfer was started in another process, before a fork.
  class ForkError < Error; end

  # A bug in this gem.
  class InternalError < Error; end

  # The native extension is not built, or was built for another Ruby or another version of the gem.
  class NativeLoadError < Error; end

  # The tenant of an enqueued job no longer exists. The job does not run.
  class MissingTenantError < Error; end

  # A client requested a direct upload to a service that it may not choose. The message may be shown to the client.
  class DirectUploadRefusedError < Error; end

  # A client announced a file that is larger than `config.encrypted_s3_service.direct_upload_limit`. The message may be
  # shown to the client.
  class DirectUploadTooLargeError < DirectUploadRefusedError; end

  # A client's description of a file is invalid: an entry is missing, has a wrong type or is too long. The message may
  # be shown to the client.
  class DirectUploadInvalidError < DirectUploadRefusedError; end

  # The operation exists in Active Storage or S3Service, but not in this service.
  class UnsupportedOperationError < Error; end
end
