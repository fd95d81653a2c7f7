# frozen_string_literal: true

module Demo
  # Makes the first uploads of two requests wait for each other, so that both requests are sure to be under way at once.
  class Meeting
    # Seconds to wait for the other.
    PATIENCE = 10
    # What Active Storage sends when a service begins to upload.
    EVENT = "service_upload.active_storage"
    private_constant :PATIENCE, :EVENT

    # Looks after the uploads while the block runs.
    # @yield
    # @return [Boolean] whether the two have met
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

    # Called in the thread of the request before it uploads.
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
