# frozen_string_literal: true

require_relative "../reader"

module EncryptedS3Service
  # Translates the gem's errors into Active Storage's errors where these exist, so that an application can rescue them
  # as for other services. The original error is the `cause`.
  # @api private
  module ActiveStorageErrors
    # @yield code that may raise the gem's errors
    # @return [Object] the block's result
    # @raise [ActiveStorage::FileNotFoundError]
    # @raise [ActiveStorage::IntegrityError]
    def self.translate
      yield
    rescue NotFoundError => e
      raise ActiveStorage::FileNotFoundError, e.message
    rescue IntegrityError => e
      raise ActiveStorage::IntegrityError, e.message
    end

    # An {EncryptedS3Service::Reader} that raises Active Storage's errors.
    class Reader < EncryptedS3Service::Reader
      # @param most [Integer] maximum bytes to return
      # @param buffer [String, nil] gets the bytes instead of a new String
      # @return [String, nil] the next bytes, binary and authenticated; nil after the last
      # @raise [ActiveStorage::FileNotFoundError]
      # @raise [ActiveStorage::IntegrityError]
      def read(most, buffer = nil) = ActiveStorageErrors.translate { super }

      # @param bytes [Integer] bytes to skip
      # @return [void]
      # @raise (see #read)
      def skip(bytes) = ActiveStorageErrors.translate { super }
    end
  end
end
