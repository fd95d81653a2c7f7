# frozen_string_literal: true

require "open3"

# Open3 waits for the end of a program even when the example's time is over: one that hangs would hold up the whole run.
# With this, it is killed then.
module BoundedPrograms
  # @param waiter [Process::Waiter] of a program that may have ended by itself just now
  def self.kill(waiter)
    Process.kill(:KILL, waiter.pid) if waiter.alive?
  rescue Errno::ESRCH
    nil
  end

  private

  def popen_run(*)
    return super unless block_given?

    super do |*streams, waiter|
      finished = false
      yield(*streams, waiter).tap { finished = true }
    ensure
      BoundedPrograms.kill(waiter) unless finished
    end
  end
end

Open3.singleton_class.prepend(BoundedPrograms)
