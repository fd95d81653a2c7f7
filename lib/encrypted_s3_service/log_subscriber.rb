# frozen_string_literal: true

require "active_support/log_subscriber"
require "concurrent/set"

module EncryptedS3Service
  # Writes into the application's log which objects are decrypted (level debug), and that objects are still under an
  # old key: the first one of each key and service in a process at level info, the others at level debug. See
  # {DecryptionEvents}; no content and no key is written.
  class LogSubscriber < ActiveSupport::LogSubscriber
    # @param event [ActiveSupport::Notifications::Event]
    # @return [void]
    def decrypt(event)
      payload = event.payload
      what = "  EncryptedS3 (#{event.duration.round(1)}ms)  Decrypted #{payload[:key].inspect} of #{payload[:service]}"
      details = { "range" => payload[:range], "bytes" => payload[:size], "format" => payload[:format],
                  "key" => payload[:key_id], "failed" => payload[:exception]&.first }.compact
      debug("#{what} (#{details.map { |name, value| "#{name} #{value}" }.join(", ")})")
    end
    # Below that level, nothing is made of an event.
    subscribe_log_level :decrypt, :debug

    # @param event [ActiveSupport::Notifications::Event]
    # @return [void]
    def key_rotation_needed(event)
      payload = event.payload
      level = told.add?(payload.values_at(:service, :key_id)) ? :info : :debug
      public_send(level, "  EncryptedS3  #{payload[:key].inspect} of #{payload[:service]} is under the old key " \
                         "#{payload[:key_id].inspect}; EncryptedS3Service::Client#rotate gives it the new one")
    end
    subscribe_log_level :key_rotation_needed, :info

    private

    # A million objects under the old key are one message, until they are rotated.
    def told = @told ||= Concurrent::Set.new

    # Rails writes a line for every event that has a method here; `transfer_progress` has none.
    attach_to :encrypted_s3_service
  end
end
