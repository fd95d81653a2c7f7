# frozen_string_literal: true

require_relative "../errors"

module EncryptedS3Service
  class Client
    # Checks and conversions of arguments.
    # @api private
    module Arguments
      OCTET_STREAM = "application/octet-stream"
      CONTROL = /[\x00-\x1f\x7f]/n
      private_constant :OCTET_STREAM, :CONTROL

      private

      # Sources of unknown size are refused once they exceed the limit.
      def refuse_too_large(key, size)
        return if size.nil? || size <= MAXIMUM_SIZE

        raise TooLargeError, "Cannot store the object #{key.inspect}: it has #{size} bytes, but an encrypted object " \
                             "can have at most #{MAXIMUM_SIZE}. Store the file in several objects."
      end

      # The type is sent as a header.
      def type_in_store(given)
        return OCTET_STREAM unless given
        return given unless given.to_s.b.match?(CONTROL)

        raise ArgumentError, "content_type must have no control characters, but is #{given.inspect}."
      end

      # A pipe or a socket would take a part of the bytes, or block where no interrupt ends the wait.
      def refuse_other_than_file(io)
        stat = io.stat if io.respond_to?(:stat) && io.respond_to?(:fileno)
        return if stat && !stat.pipe? && !stat.socket?

        raise ArgumentError, "An object can be downloaded into a File or a Tempfile, but not into a " \
                             "#{stat ? stat.ftype : io.class}. Use `download` with a block."
      end

      def object_key(key)
        raise ArgumentError, "A key must be a String, not #{key.class}." unless key.is_a?(String)
        raise ArgumentError, "A key must not be empty." if key.empty?

        configuration.prefix.key(Text.utf8(key) || raise(ArgumentError, "A key must be valid UTF-8."))
      end

      # @return [String] the key in the bucket of a new object
      def new_object_key(key)
        full = object_key(key)
        return full unless full.end_with?(Configuration::SEGMENTS_SUFFIX)

        raise ArgumentError, "Cannot store an object under the key #{key.inspect}: keys that end in " \
                             "#{Configuration::SEGMENTS_SUFFIX} belong to the segment maps of other objects. Use " \
                             "another key."
      end

      # @return [Array(Integer, Integer), Array(Integer, nil)]
      def first_and_length(range)
        first, last = bounds_of(range)
        length = last && (last - first + (range.exclude_end? ? 0 : 1))
        [[first, NativeLoader::LARGEST_NUMBER].min, length&.clamp(0, NativeLoader::LARGEST_NUMBER)]
      end

      def bounds_of(range)
        raise ArgumentError, "A range must be a Range, not #{range.inspect}." unless range.is_a?(Range)

        bounds = [range.begin || 0, range.end]
        return bounds if bounds.compact.all? { |bound| bound.is_a?(Integer) && !bound.negative? }

        raise ArgumentError, "The bounds of a range must be integers of at least 0, not #{range.inspect}."
      end
    end
  end
end
