# frozen_string_literal: true

require_relative "envelope_probe"

module EncryptedS3Service
  class Rotation
    # Looks what {Rewrap} would do, and changes nothing.
    # @api private
    class Rehearsal
      # @param (see Rewrap#initialize)
      def initialize(files, reencrypt:)
        @files = files
        @reencrypt = reencrypt
      end

      # @param id [Object] of a blob
      # @return [Array<Finding>]
      def call(id)
        @files.objects(id) do |service, blob|
          probe = EnvelopeProbe.new(service.client, blob.key)
          raise EnvelopeError, "it has no envelope" unless probe.format

          Finding.of(outcome(probe), service.client.configuration, format: probe.format, key_id: probe.key_id)
        end
      end

      private

      def outcome(probe)
        return @reencrypt ? :reencrypted : :reencrypt if probe.anew?
        return :reencrypted if probe.old_format? && @reencrypt

        probe.current? ? :current : :rotated
      end
    end
  end
end
