# frozen_string_literal: true

module EncryptedS3Service
  # Everything this gem raises on purpose. Messages name the object, the setting or the metadata entry; they never hold
  # a key, a credential or plaintext.
  class Error < StandardError
    # @return [String] the {#code} of errors of this class that have no narrower one
    # @api private
    def self.default_code = name[/\w+\z/].delete_suffix("Error").gsub(/(?<=[a-z])(?=[A-Z])/, "-").downcase.freeze

    # @return [String] a stable, frozen name of what went wrong, narrower than the class (`"unwrap"`, `"auth"`, …)
    def code = @code ? -@code : self.class.default_code

    # @return [Integer, nil] the HTTP status of the store's answer, if there was one
    attr_reader :status

    # @return [String, nil] the error code of S3 in the store's answer (`"AccessDenied"`, …); empty when it has none
    attr_reader :store_code

    # @return [Error] `error` with its cause, which Ruby can only set by raising it
    # @api private
    def self.caused(error, cause)
      raise error, cause: cause
    rescue Error => e
      e
    end

    # @return [Boolean] whether doing the same again later may succeed
    def retryable? = false

    # What a report may say of an error. Messages of other libraries are left out: they may hold a signed URL or a part
    # of a file.
    # @param error [Exception]
    # @return [String] its class, and its message if it is one of this gem, of Active Storage or of the system
    # @api private
    def self.describe(error)
      known = error.is_a?(Error) || error.is_a?(SystemCallError) ||
              (defined?(ActiveStorage::Error) && error.is_a?(ActiveStorage::Error))
      known && error.message != error.class.name ? "#{error.class.name}: #{error.message}" : error.class.name
    end
  end

  # A setting is missing or wrong, or the bucket does not exist.
  class ConfigurationError < Error; end

  # There is no such object.
  class NotFoundError < Error; end

  # What kept a request from the store, as the `cause` of a {TransportError}. Its text holds no address, header or key.
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

  # The store refused a request for a reason that will not pass.
  class StoreError < Error; end

  # The store refused the credentials, or they lack a permission.
  class AccessError < StoreError; end

  # The store could not be reached, timed out, or answered with a failure that may pass.
  class TransportError < StoreError
    # @return [Boolean] true
    def retryable? = true
  end

  # The store's certificate, or its TLS, is not accepted. Nothing was sent to it.
  class CertificateError < TransportError
    # @return [Boolean] false
    def retryable? = false
  end

  # The object lies in an archive (storage class GLACIER, DEEP_ARCHIVE or an archive tier). It has to be restored before
  # it can be read.
  class ArchivedError < StoreError; end

  # The object was replaced while it was being read.
  class ChangedError < StoreError; end

  # The store accepted a new envelope for an object, but shows the old one or none: the old key is still needed.
  class NotRotatedError < StoreError; end

  # The object has no encryption envelope, or one that this gem does not read.
  class EnvelopeError < Error; end

  # The object can be read, but the configuration forbids its form.
  class PolicyError < Error; end

  # The object was encrypted for another kind of key or another context. (Not `KeyError`, which is Ruby's.)
  class KeyringError < Error; end

  # No configured key opens the object's data key: a wrong key, or a changed envelope.
  class UnwrapError < KeyringError; end

  # The key of a tenant is destroyed, and what its files say with it.
  class KeyDestroyedError < KeyringError; end

  # The bytes are not the ones that were encrypted, or not the ones that were announced.
  class IntegrityError < Error; end

  # The object or its envelope was changed after it was encrypted. A legacy object (AES-CBC) that cannot be read raises
  # this for a wrong key as well: which of the two it is would answer questions about its content.
  class TamperedError < IntegrityError; end

  # The object ends too early.
  class TruncatedError < IntegrityError; end

  # The uploaded bytes do not have the checksum that the caller announced.
  class ChecksumError < IntegrityError; end

  # The wanted range begins at or after the end of the object.
  class InvalidRangeError < Error; end

  # The file is larger than the format or the store can hold.
  class TooLargeError < Error; end

  # A local file could not be read or written.
  class FileError < Error
    # @api private
    def self.default_code = "io"
  end

  # The transfer was already finished, aborted or closed.
  class ClosedError < Error; end

  # The transfer was begun in another process, before a fork.
  class ForkError < Error; end

  # A defect of this gem.
  class InternalError < Error; end

  # The native extension is not built, or does not fit this Ruby or this version of the gem.
  class NativeLoadError < Error; end

  # The tenant for whom a job was enqueued does not exist any more. The job does not run.
  class MissingTenantError < Error; end

  # A client asked for a direct upload to a service that it may not choose. Its message may be shown to the client.
  class DirectUploadRefusedError < Error; end

  # A client announced a file that is larger than `config.encrypted_s3_service.direct_upload_limit`. Its message may be
  # shown to the client.
  class DirectUploadTooLargeError < DirectUploadRefusedError; end

  # Something Active Storage can ask of a service that this one does not do.
  class UnsupportedOperationError < Error; end
end
