# frozen_string_literal: true

module EncryptedS3Service
  module DirectUploads
    # A client's description of a file before the upload. Its `metadata` are stored in the same column as the entries of
    # Active Storage and of this gem. Entries of a client under those names are removed (CVE-2026-33173: `composed`
    # would disable the checksum comparison).
    module Announcement
      # Entries that Active Storage relies on (ActiveStorage::Blob::PROTECTED_METADATA, which older versions lack).
      PROTECTED = %w[analyzed identified composed].freeze
      # Entries of this gem, in any spelling.
      OWN = /\Aencrypted[_-]?s3[_-]/i
      private_constant :PROTECTED, :OWN

      class << self
        # @return [void]
        # @raise [DirectUploadRefusedError] when direct uploads are switched off
        def refuse_unless_on
          return if EncryptedS3Service.settings.direct_uploads

          raise DirectUploadRefusedError, "Direct uploads are switched off."
        end

        # @param arguments [Hash{Symbol => Object}] arguments of ActiveStorage::Blob.create_before_direct_upload!
        # @return [Hash{Symbol => Object}] the arguments with only the metadata that a client may set
        # @raise [DirectUploadInvalidError] when it is not a description of a file, see {Description}
        # @raise [DirectUploadTooLargeError] when the file exceeds `direct_upload_limit`
        def checked(arguments)
          Description.check(arguments)
          limit = EncryptedS3Service.settings.direct_upload_limit
          if limit && arguments[:byte_size].to_i > limit
            raise DirectUploadTooLargeError, "The file is too large. At most #{limit} bytes can be uploaded."
          end

          arguments.key?(:metadata) ? arguments.merge(metadata: allowed(arguments[:metadata])) : arguments
        end

        # @param metadata [Hash, ActionController::Parameters, nil] metadata from a client
        # @return [Hash, nil] the entries that a client may set
        def allowed(metadata)
          return metadata if metadata.nil?

          without_own(plain(metadata)).reject { |name, _| PROTECTED.include?(name.to_s) }
        end

        # @param metadata [Hash, nil]
        # @return [Boolean] whether it contains entries of this gem, at any depth
        def own?(metadata)
          return metadata.any? { |element| own?(element) } if metadata.is_a?(Array)

          metadata.is_a?(Hash) && metadata.any? { |name, value| OWN.match?(name.to_s) || own?(value) }
        end

        private

        def plain(metadata)
          metadata = metadata.to_unsafe_h if metadata.respond_to?(:to_unsafe_h)
          metadata.respond_to?(:to_h) ? metadata.to_h : {}
        end

        def without_own(value)
          case value
          when Hash then value.reject { |name, _| OWN.match?(name.to_s) }.transform_values { |one| without_own(one) }
          when Array then value.map { |one| without_own(one) }
          else value.respond_to?(:to_unsafe_h) ? without_own(value.to_unsafe_h) : value
          end
        end
      end

      # For ActiveStorage::Blob's singleton class, because applications have their own controllers for direct uploads.
      # @api private
      module Creation
        # @param metadata [Hash, ActionController::Parameters, nil] metadata from a client
        # @param rest [Hash{Symbol => Object}] see ActiveStorage::Blob
        # @return [ActiveStorage::Blob]
        def create_before_direct_upload!(metadata: nil, **rest)
          super(metadata: Announcement.allowed(metadata), **rest)
        end
      end

      # For ActiveStorage::Blob: this gem adds its entries only to existing rows, so a new row must not have any.
      # @param blob [ActiveStorage::Blob]
      # @return [void]
      # @api private
      def self.validate(blob)
        return unless own?(blob.metadata)

        blob.errors.add(:metadata, "must not have entries whose names begin with encrypted_s3_ when a blob is created")
      end
    end
  end
end
