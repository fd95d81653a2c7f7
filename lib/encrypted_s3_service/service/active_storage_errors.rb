# frozen_string_literal: true

require_relative "../reader"

module EncryptedS3Service
  # The gem's errors as Active Storage's own, where it has some: what an application rescues for its other services.
  # The gem's own error is the `cause`.
  # @api private
  module ActiveStorageErrors
    # @yield what may raise the gem's errors
    # @return [Object] what the block returns
    # @raise [ActiveStorage::FileNotFoundError]
    # @raise [ActiveStorage::IntegrityError]
    def self.translate
      yield
    rescue NotFoundError => e
      raise ActiveStorage::FileNotFoundError, e.message
    rescue IntegrityError => e
      raise ActiveStorage::IntegrityError, e.message
    end

    # A reader of one object. See {EncryptedS3Service::Reader}.
    class Reader < EncryptedS3Service::Reader
      # @param most [Integer] bytes
      # @return [String, nil] the next bytes, binary and authenticated; nil after the last
      # @raise [ActiveStorage::FileNotFoundError]
      # @raise [ActiveStorage::IntegrityError]
      def read(most) = ActiveStorageErrors.translate { super }

      # @param bytes [Integer]
      # @return [void]
      # @raise (see #read)
      def skip(bytes) = ActiveStorageErrors.translate { super }
    end
  end
end
