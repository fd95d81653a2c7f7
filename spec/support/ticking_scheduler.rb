# frozen_string_literal: true

# A minimal fiber scheduler: fibers wait with IO.select for an IO, for a time or for each other.
class TickingScheduler
  # Runs the block in a new thread with a scheduler, in a fiber beside another one that ticks every millisecond.
  # @return [Array(Object, Integer)] result of the block, and how often the other fiber ran meanwhile
  def self.run
    result = error = nil
    ticks = 0
    Thread.new do
      Fiber.set_scheduler(new)
      running = true
      Fiber.schedule { sleep(0.001) && (ticks += 1) while running }
      Fiber.schedule do
        result = yield
      rescue Exception => e # rubocop:disable Lint/RescueException
        error = e
      ensure
        running = false
      end
    end.join
    raise error if error

    [result, ticks]
  end

  def initialize
    @readable = {}
    @writable = {}
    @waiting = {}
    @lock = Mutex.new
    @unblocked = []
    @wakes = IO.pipe
  end

  def fiber(&) = Fiber.new(blocking: false, &).tap(&:resume)

  def io_wait(io, events, timeout = nil)
    fiber = Fiber.current
    @readable[fiber] = io if events.anybits?(IO::READABLE)
    @writable[fiber] = io if events.anybits?(IO::WRITABLE)
    @waiting[fiber] = now + timeout if timeout
    Fiber.yield
    events
  ensure
    [@readable, @writable, @waiting].each { |fibers| fibers.delete(fiber) }
  end

  def kernel_sleep(duration = nil)
    block(:sleep, duration)
  end

  def block(_blocker, timeout = nil)
    fiber = Fiber.current
    @waiting[fiber] = timeout ? now + timeout : Float::INFINITY
    Fiber.yield
  ensure
    @waiting.delete(fiber)
  end

  # May be called by any thread.
  def unblock(_blocker, fiber)
    @lock.synchronize { @unblocked.push(fiber) }
    @wakes.last.write_nonblock(".")
  end

  # Raises the error in the waiting fiber.
  def fiber_interrupt(fiber, error) = fiber.raise(error)

  def close
    turn until [@readable, @writable, @waiting].all?(&:empty?)
    @wakes.each(&:close)
  end

  private

  def turn
    first = @waiting.each_value.min
    pause = [first - now, 0].max if first && first != Float::INFINITY
    readable, writable = IO.select([@wakes.first, *@readable.values], @writable.values, [], pause)
    @wakes.first.read_nonblock(1000, exception: false) if readable&.include?(@wakes.first)
    ready(readable || [], writable || []).each { |fiber| fiber.resume if fiber.alive? }
  end

  def ready(readable, writable)
    unblocked = @lock.synchronize { @unblocked.slice!(0..) }
    late = @waiting.select { |_, time| time <= now }.keys
    (unblocked + @readable.select { |_, io| readable.include?(io) }.keys +
      @writable.select { |_, io| writable.include?(io) }.keys + late).uniq
  end

  def now = Process.clock_gettime(Process::CLOCK_MONOTONIC)
end
