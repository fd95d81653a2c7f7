# frozen_string_literal: true

module EncryptedS3Service
  module DirectUploads
    # Checks the entries of a client's description of a file: their types and sizes. Active Storage accepts any value. A
    # wrong type then causes an error of the database (status 500), and a name or metadata of megabytes are stored in a
    # row, in every link to the file and in the headers of redirects.
    # @api private
    module Description
      # Maximum bytes of a file name. File systems allow 255.
      NAME_LIMIT = 1024
      # Maximum bytes of a content type or of a checksum.
      WORD_LIMIT = 255
      # Maximum bytes of the metadata as JSON: the capacity of the column in MySQL.
      METADATA_LIMIT = 65_535
      # Largest number of bytes that the column `byte_size` holds.
      LARGEST_SIZE = (1 << 63) - 1
      private_constant :NAME_LIMIT, :WORD_LIMIT, :METADATA_LIMIT, :LARGEST_SIZE

      class << self
        # @param blob [Object] the value that the client sent as `blob`
        # @return [void]
        # @raise [DirectUploadInvalidError] when it is not an object. A missing or empty value is left to Rails
        #   (400)
        def require_object(blob)
          refuse("`blob` must be an object.") unless blob.blank? || blob.is_a?(ActionController::Parameters)
        end

        # @param arguments [Hash{Symbol => Object}] arguments of ActiveStorage::Blob.create_before_direct_upload!
        # @return [void]
        # @raise [DirectUploadInvalidError] when an entry is missing, has a wrong type or is too long
        # @raise [DirectUploadTooLargeError] when the size is larger than the column `byte_size` can hold
        def check(arguments)
          check_name(arguments[:filename])
          check_word("content_type", arguments[:content_type], optional: true)
          check_word("checksum", arguments[:checksum])
          check_size(arguments[:byte_size])
          check_metadata(arguments[:metadata])
        end

        private

        def check_name(name)
          refuse("`filename` must be a string.") unless name.is_a?(String)
          refuse("`filename` must have at most #{NAME_LIMIT} bytes.") if name.bytesize > NAME_LIMIT
          refuse("`filename` must not contain a NUL character.") if name.include?("\0")
          # Rails cannot make a link to such a file, so every page that shows it would fail.
          refuse("`filename` must not be blank.") if ActiveStorage::Filename.new(name).to_s.empty?
        end

        def check_word(entry, value, optional: false)
          return if optional && value.nil?

          refuse("`#{entry}` must be a string.") unless value.is_a?(String) && !(value.empty? && !optional)
          refuse("`#{entry}` must have at most #{WORD_LIMIT} bytes.") if value.bytesize > WORD_LIMIT
          refuse("`#{entry}` must not contain a NUL character.") if value.include?("\0")
        end

        # Forms send digits, scripts a number.
        def check_size(size)
          refuse("`byte_size` must be a number of bytes.") unless size.to_s.match?(/\A\d+\z/)
          return unless size.to_s.length > 19 || size.to_i > LARGEST_SIZE

          raise DirectUploadTooLargeError, "The file is too large."
        end

        def check_metadata(metadata)
          # As the column stores it. Unlike JSON.generate, it accepts Infinity, which a number like 1e999 becomes.
          return if metadata.nil? || ActiveSupport::JSON.encode(metadata).bytesize <= METADATA_LIMIT

          refuse("`metadata` must have at most #{METADATA_LIMIT} bytes.")
        end

        def refuse(problem) = raise(DirectUploadInvalidError, "The file cannot be uploaded: #{problem}")
      end
    end
  end
end
