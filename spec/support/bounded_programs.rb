# frozen_string_literal: true

require "open3"

# Open3 waits for the end of a program even when the example's time is over: one that hangs would hold up the whole run.
# With this, it is killed then.
module BoundedPrograms
  private

  def popen_run(*)
    return super unless block_given?

    super do |*streams, waiter|
      finished = false
      yield(*streams, waiter).tap { finished = true }
    ensure
      Process.kill(:KILL, waiter.pid) if !finished && waiter.alive?
    end
  end
end

Open3.singleton_class.prepend(BoundedPrograms)
