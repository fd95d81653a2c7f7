# frozen_string_literal: true

require "open3"

# Open3 waits for the end of a program even when the time limit of the example is over, so that a program that hangs
# would stop the whole run. With this module, the program is killed.
module BoundedPrograms
  # @param waiter [Process::Waiter] of a program that may just have ended
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
