# frozen_string_literal: true

require "delegate"

module EncryptedS3Service
  class Client
    # A download of the native client. When it is closed, it logs the events that an operator must know about.
    # @api private
    class Download < SimpleDelegator
      # @param native [Native::Download]
      # @param key [String] the object's key, for messages
      def initialize(native, key)
        super(native)
        @key = key
      end

      # Releases the connection and the memory.
      # @return [void]
      def close
        warn_of_bad_segment_map if bad_segment_map?
        super
      end

      private

      # A warning and no error, because the object itself was authenticated.
      def warn_of_bad_segment_map
        EncryptedS3Service.logger.warn("The segment map of the object #{@key.inspect} does not belong to it or was " \
                                       "changed. The object itself was checked and is intact. A new map is being " \
                                       "stored. If you see this message again, run " \
                                       "`rails encrypted_s3_service:index`.")
      end
    end
  end
end
