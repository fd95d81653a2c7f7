# frozen_string_literal: true

require "openssl"
require_relative "checksum_form"
require_relative "noted_checksum"
require_relative "progress"

module EncryptedS3Service
  module TaskRun
    # The expected content of a file, with which copies are compared: size and checksum as in the row, or, if the row
    # has no usable checksum, the SHA-256 of the source. The source is read first.
    # @api private
    class ContentCheck
      # @param blob [ActiveStorage::Blob]
      # @param repair [Boolean] whether to trust the source if the row has no usable checksum, or a wrong size or ETag
      # @param form [ChecksumForm, nil] the form that the row's checksum must have; nil for any of Active Storage's
      def initialize(blob, repair: false, form: nil)
        @blob = blob
        @repair = repair
        @form = form
        @noted = NotedChecksum.new(blob.checksum, size: blob.byte_size)
        @size = blob.byte_size
      end

      # @param service [ActiveStorage::Service] the service that gets a copy
      # @return [String, nil] the checksum for it; nil when there is none that it can compare. Then only {copy} compares
      #   the files
      def announced(service)
        return if @noted.doubtful? && !rewritten?

        checksum = (@source && corrections[:checksum]) || (well_written? ? @blob.checksum : @noted.announced)
        form = ChecksumForm.of(service)
        checksum if form.nil? || checksum.nil? || form.of?(NotedChecksum.new(checksum, size: bytes), checksum)
      end

      # @return [Boolean] whether copies can be compared with the row alone, without reading the source
      def noted? = !@noted.algorithm.nil? && !@noted.doubtful?

      # @return [Hash] the blob's description as Active Storage passes it to a service: type, disposition, name
      def description = @blob.send(:service_metadata)

      # Columns of the row that are wrong. They are known after the source was read and accepted.
      # @return [Hash{Symbol => Object}] `checksum` and `byte_size`, those that must be corrected
      def corrections
        return {} unless @source

        columns = {}
        columns[:checksum] = right_checksum if rewrite_checksum?
        columns[:byte_size] = @source.bytes unless @source.bytes == @blob.byte_size
        columns
      end

      # @return [Integer] bytes of the file
      def bytes = @source ? @source.bytes : @size

      # Reads the source and compares it with the row.
      # @param service [ActiveStorage::Service]
      # @param key [String] the file's key in this service
      # @yieldparam chunk [String]
      # @return [void]
      # @raise [IntegrityError]
      def source(service, key, &)
        found = read(service, key, &)
        refuse_other_content(service, found)
        refuse_unknown_checksum unless @noted.blank? || @noted.algorithm || @repair
        @source = found
      end

      # Reads a copy and compares it with the source, or with the row if the source was not read.
      # @param service [ActiveStorage::Service]
      # @param key [String] the file's key in this service
      # @return [void]
      # @raise [IntegrityError]
      def copy(service, key)
        found = read(service, key)
        if @source
          raise IntegrityError, "The copy in #{service.name} differs from its source." unless found == @source
        else
          refuse_other_content(service, found)
        end
      end

      private

      # The result of reading a file: `bytes`, and the Base64 of the computed digests, of which `noted` has the
      # algorithm of the row's checksum.
      Found = Data.define(:bytes, :noted, :md5, :sha256) do
        def initialize(bytes:, noted: nil, md5: nil, sha256: nil) = super
      end
      private_constant :Found

      def read(service, key)
        bytes = 0
        digests = needed_digests
        service.download(key) do |chunk|
          digests.each_value { |digest| digest.update(chunk) }
          bytes += chunk.bytesize
          yield chunk if block_given?
        end
        Found.new(bytes: bytes, **digests.transform_values(&:base64digest))
      end

      # An MD5 takes most of the time of such a pass, so it is computed only if it is needed.
      def needed_digests
        names = { noted: @noted.algorithm }
        names.merge!(md5: "md5", sha256: "sha256") unless noted? && well_written?
        names.compact.transform_values { |name| OpenSSL::Digest.new(name) }
      end

      def refuse_other_content(service, found)
        unless @noted.algorithm
          refuse_other_size(service, found) unless @repair
          return
        end
        # A matching digest proves that the file is complete, so the row's size is wrong.
        return if found.noted == @noted.base64 || (@repair && @noted.doubtful?)

        refuse_other_size(service, found)
        raise IntegrityError, "The file in #{service.name} does not match the checksum in its row." \
                              "#{repair_hint if @noted.doubtful?}"
      end

      def refuse_other_size(service, found)
        return if found.bytes == @size

        raise IntegrityError, "The file in #{service.name} has #{Progress.counted(found.bytes, "byte")}, but its row " \
                              "says #{@size.inspect}.#{repair_hint unless @noted.algorithm}"
      end

      def refuse_unknown_checksum
        raise IntegrityError, "The checksum in its row is an ETag or a placeholder, not a digest.#{repair_hint}"
      end

      def repair_hint = " REPAIR_CHECKSUMS=true accepts the file and corrects the row."

      # Composed files have no checksum, which Active Storage records in the metadata.
      def rewrite_checksum?
        return @repair && !@blob.metadata["composed"] if @noted.blank?

        !(well_written? && @source.noted == @noted.base64)
      end

      def rewritten? = @source && corrections.key?(:checksum)

      def right_checksum = @form ? @form.write(@source.public_send(@form.algorithm)) : @source.md5

      def well_written? = @form ? @form.of?(@noted, @blob.checksum) : @noted.well_written?
    end
  end
end
