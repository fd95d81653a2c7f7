# frozen_string_literal: true

module EncryptedS3Service
  module DirectUploads
    # What a client says of a file before it sends it. Its `metadata` go into the column in which Active Storage and
    # this gem note what they have found out themselves; a client's entries under those names are dropped
    # (CVE-2026-33173: `composed` would switch the comparison of checksums off).
    module Announcement
      # Entries that Active Storage relies on (ActiveStorage::Blob::PROTECTED_METADATA, which older versions have not).
      PROTECTED = %w[analyzed identified composed].freeze
      # Entries of this gem, however they are written.
      OWN = /\Aencrypted[_-]?s3[_-]/i
      private_constant :PROTECTED, :OWN

      class << self
        # @return [void]
        # @raise [DirectUploadRefusedError] when direct uploads are switched off
        def refuse_unless_on
          return if EncryptedS3Service.settings.direct_uploads

          raise DirectUploadRefusedError, "Direct uploads are switched off."
        end

        # @param arguments [Hash{Symbol => Object}] for ActiveStorage::Blob.create_before_direct_upload!
        # @return [Hash{Symbol => Object}] the same with the metadata that a client may set
        # @raise [DirectUploadTooLargeError] when the file is larger than the application allows
        def checked(arguments)
          limit = EncryptedS3Service.settings.direct_upload_limit
          if limit && arguments[:byte_size].to_i > limit
            raise DirectUploadTooLargeError, "The file is too large. At most #{limit} bytes can be uploaded."
          end

          arguments.key?(:metadata) ? arguments.merge(metadata: allowed(arguments[:metadata])) : arguments
        end

        # @param metadata [Hash, ActionController::Parameters, nil] a client's
        # @return [Hash, nil] those entries that a client may set
        def allowed(metadata)
          return metadata if metadata.nil?

          without_own(plain(metadata)).reject { |name, _| PROTECTED.include?(name.to_s) }
        end

        # @param metadata [Hash, nil]
        # @return [Boolean] whether it has entries of this gem, however deep
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

      # For ActiveStorage::Blob's singleton class: applications have controllers of their own for direct uploads.
      # @api private
      module Creation
        # @param metadata [Hash, ActionController::Parameters, nil] a client's
        # @param rest [Hash{Symbol => Object}] see ActiveStorage::Blob
        # @return [ActiveStorage::Blob]
        def create_before_direct_upload!(metadata: nil, **rest)
          super(metadata: Announcement.allowed(metadata), **rest)
        end
      end

      # For ActiveStorage::Blob: entries of this gem are written by it, into rows that are there.
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
