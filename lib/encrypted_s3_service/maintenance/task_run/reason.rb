# frozen_string_literal: true

module EncryptedS3Service
  module TaskRun
    # Why something could not be done, without anything of a file's content or name.
    # @api private
    module Reason
      # Of foreign errors only the name: a library's message may hold a signed URL or what it was sent.
      # @param error [Exception]
      # @return [String]
      def self.of(error)
        spoken = error.is_a?(EncryptedS3Service::Error) || error.is_a?(ActiveStorage::Error) ||
                 error.is_a?(SystemCallError)
        spoken && error.message != error.class.name ? "#{error.class.name}: #{error.message}" : error.class.name
      end
    end
  end
end
