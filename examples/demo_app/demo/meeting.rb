# frozen_string_literal: true

module Demo
  # Makes the first uploads of two requests wait for each other, so that both requests run at the same time.
  class Meeting
    # Seconds to wait for the other request.
    PATIENCE = 10
    # The notification of Active Storage for an upload to a service.
    EVENT = "service_upload.active_storage"
    private_constant :PATIENCE, :EVENT

    # Synchronizes the uploads while the block runs.
    # @yield
    # @return [Boolean] whether both were waiting at the same time
    def self.hold
      meeting = new
      subscription = ActiveSupport::Notifications.subscribe(EVENT, meeting)
      yield
      meeting.held?
    ensure
      ActiveSupport::Notifications.unsubscribe(subscription)
    end

    def initialize
      @arrived = []
      @lock = Monitor.new
      @changed = @lock.new_cond
    end

    # @return [Boolean]
    def held? = @arrived.size == 2

    # Called in the thread of the request before the upload.
    # @return [void]
    def start(*)
      @lock.synchronize do
        @arrived |= [Thread.current]
        @changed.broadcast
        @changed.wait(PATIENCE) unless held?
      end
    end

    # @return [void]
    def finish(*) = nil
  end
end
