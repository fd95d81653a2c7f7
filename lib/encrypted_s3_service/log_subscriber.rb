# frozen_string_literal: true

require "active_support/log_subscriber"
require "concurrent/set"

module EncryptedS3Service
  # Logs which objects are decrypted (level debug) and which are still wrapped by an old key: the first one of each key
  # and service in a process at level info, others at level debug. See {DecryptionEvents}. Content and keys are not
  # logged.
  class LogSubscriber < ActiveSupport::LogSubscriber
    # @param event [ActiveSupport::Notifications::Event]
    # @return [void]
    def decrypt(event)
      payload = event.payload
      text = "  EncryptedS3 (#{event.duration.round(1)}ms)  Decrypted #{payload[:key].inspect} of #{payload[:service]}"
      details = { "range" => payload[:range], "bytes" => payload[:size], "format" => payload[:format],
                  "key" => payload[:key_id], "failed" => payload[:exception]&.first }.compact
      debug("#{text} (#{details.map { |name, value| "#{name} #{value}" }.join(", ")})")
    end
    # At a higher log level the event costs nothing.
    subscribe_log_level :decrypt, :debug

    # @param event [ActiveSupport::Notifications::Event]
    # @return [void]
    def key_rotation_needed(event)
      payload = event.payload
      level = reported.add?(payload.values_at(:service, :key_id)) ? :info : :debug
      public_send(level, "  EncryptedS3  #{payload[:key].inspect} of #{payload[:service]} is wrapped by the old key " \
                         "#{payload[:key_id].inspect}. Run bin/rails encrypted_s3_service:rotate.")
    end
    subscribe_log_level :key_rotation_needed, :info

    private

    # Each key and service is reported once, because there may be a million objects under an old key.
    def reported = @reported ||= Concurrent::Set.new

    # Rails logs every event that has a method here; `transfer_progress` has none.
    attach_to :encrypted_s3_service
  end
end
