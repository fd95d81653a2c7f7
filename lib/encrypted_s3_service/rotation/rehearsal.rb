# frozen_string_literal: true

require_relative "look"

module EncryptedS3Service
  class Rotation
    # Looks what {Change} would do, and changes nothing.
    # @api private
    class Rehearsal
      # @param (see Change#initialize)
      def initialize(files, reencrypt:)
        @files = files
        @reencrypt = reencrypt
      end

      # @param id [Object] of a blob
      # @return [Array<Finding>]
      def call(id)
        @files.objects(id) do |service, blob|
          look = Look.new(service.client, blob.key)
          raise EnvelopeError, "it has no envelope" unless look.format

          Finding.of(outcome(look), service.client.configuration, format: look.format, key_id: look.key_id)
        end
      end

      private

      def outcome(look)
        return @reencrypt ? :reencrypted : :reencrypt if look.anew?
        return :reencrypted if look.old_format? && @reencrypt

        look.current? ? :current : :rotated
      end
    end
  end
end
