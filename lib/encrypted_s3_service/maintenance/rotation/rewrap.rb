# frozen_string_literal: true

require_relative "envelope_probe"
require_relative "reencryption"
require_relative "tally"

module EncryptedS3Service
  class Rotation
    # Wraps the data keys of one blob's objects with the writing key, or reports what else is needed.
    # @api private
    class Rewrap
      # @param walk [BlobWalk]
      # @param reencrypt [Boolean]
      # @param dry_run [Boolean]
      # @param verify [Boolean] whether to check the new envelope of every object, not only of the first
      def initialize(walk, reencrypt:, dry_run:, verify:)
        @walk = walk
        @reencrypt = reencrypt
        @dry_run = dry_run
        @verify = verify
        @trusted = Concurrent::Map.new
      end

      # @param item [Object] see {BlobWalk#objects}
      # @return [Array<Finding>]
      # @raise [NotRotatedError] when the store accepts a new envelope but does not return it
      def call(item)
        @walk.objects(item) { |service, blob| @dry_run ? rehearse(service, blob) : change(service, blob) }
      end

      private

      def rehearse(service, blob)
        probe = EnvelopeProbe.new(service.client, blob.key)
        raise EnvelopeError, "The object has no envelope." unless probe.format
        raise PolicyError, "The object is not bound to its key, as `place_binding: require` demands." if probe.refused?

        outcome = planned(probe)
        return immovable(service, blob, probe.immovable) if probe.immovable && copied?(outcome, probe)

        finding(outcome, service.client, probe.format, probe.key_id)
      end

      # Replacing an instruction file does not change the object.
      def copied?(outcome, probe) = outcome == :reencrypted || (outcome == :rotated && !probe.in_file?)

      def planned(probe)
        return @reencrypt ? :reencrypted : :reencrypt if probe.legacy?
        return @reencrypt ? :reencrypted : :rotated if probe.in_file?
        return :reencrypted if @reencrypt && probe.old_format?

        probe.current? && !probe.to_be_bound? && probe.recoverable? ? :current : :rotated
      end

      def change(service, blob)
        client = service.client
        outdated = outdated_envelope(client, blob.key) if @reencrypt
        return reencrypted(service, blob, outdated) if outdated

        rotated = rotate(client, blob.key)
        if @reencrypt && rotated.outcome == :reencrypt
          return reencrypted(service, blob, client.envelope(blob.key), rotated.former_key_id)
        end

        return immovable(service, blob, rotated.reason) if rotated.outcome == :immovable

        finding(rotated.outcome, client, rotated.format, rotated.former_key_id)
      end

      def immovable(service, blob, reason)
        failure = TaskRun::Failure.new(blob_id: blob.id, object: BlobWalk.name_of(blob, service), reason: reason)
        Finding.new(outcome: :immovable, failure: failure)
      end

      # Rotating such an object before it is encrypted again would be a useless copy.
      # @return [Client::Rewrap::Envelope, nil] nil unless it is V2 where V3 is written
      def outdated_envelope(client, key)
        return unless client.outdated_format?("v2")

        envelope = client.envelope(key)
        envelope if client.outdated_format?(envelope.format)
      end

      # Some stores answer 200 to a copy but change nothing, so the first rotated object of each store is checked.
      def rotate(client, key)
        store = client.configuration.then { |place| [place.endpoint, place.region, place.bucket, place.root] }
        rotated = client.rotate(key, verify: @verify || !@trusted.key?(store), instruction_files: !@reencrypt)
        @trusted[store] = true if rotated.outcome == :rotated
        rotated
      end

      def reencrypted(service, blob, envelope, key_id = envelope.key_id)
        # Encrypting it again would store a new version and leave this one under its old key.
        return immovable(service, blob, envelope.immovable) if envelope.immovable

        Reencryption.new(service, blob).run
        finding(:reencrypted, service.client, nil, key_id)
      end

      def finding(outcome, client, format, key_id)
        old_format = %i[rotated current].include?(outcome) && client.outdated_format?(format)
        new_key_id = outcome == :reencrypt ? key_id : client.configuration.encryption_key.id
        Finding.new(outcome: outcome, format: format, key_id: key_id, new_key_id: new_key_id, old_format: old_format)
      end
    end
  end
end
