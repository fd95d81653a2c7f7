# frozen_string_literal: true

require_relative "../rails_helper"
require "encrypted_s3_service/maintenance/task_run/workers"

RSpec.describe EncryptedS3Service::TaskRun::Workers do
  # Applications have other threads too. With any other thread alive, Ruby does not detect a deadlock.
  around do |example|
    other = Thread.new { sleep }
    Timeout.timeout(20) { example.run }
  ensure
    other.kill.join
  end

  def work(items, size: 2, &step)
    outcomes = {}
    described_class.new(size).each(items, step) { |item, outcome| outcomes[item] = outcome }
    outcomes
  end

  it "returns the result or the error of each step" do
    error = EncryptedS3Service::TransportError.new("away")
    expect(work([1, 2, 3]) { |item| item == 2 ? raise(error) : item * 10 }).to eq({ 1 => 10, 2 => error, 3 => 30 })
    expect(work([]) { raise "nothing to do" }).to eq({})
  end

  [LoadError, NotImplementedError, SystemStackError, NoMemoryError, SecurityError, SystemExit, Interrupt, Exception]
    .each do |error|
    it "ends with #{error} when a step raises it" do
      expect { work([1, 2, 3]) { |item| raise error, "in a step" if item == 2 } }.to raise_error(error)
    end
  end

  it "ends when a step really overflows its stack" do
    endless = ->(depth) { endless.call(depth + 1) }
    expect { work([1]) { endless.call(0) } }.to raise_error(SystemStackError)
  end

  it "ends when a step throws a symbol without a catch" do
    expect { catch(:done) { work([1, 2]) { throw :done } } }.to raise_error(UncaughtThrowError)
  end

  it "ends when the thread of a step is killed or exits" do
    expect { work([1, 2]) { Thread.current.kill } }.to raise_error(EncryptedS3Service::InternalError, /killed/)
    expect { work([1, 2]) { Thread.exit } }.to raise_error(EncryptedS3Service::InternalError, /killed/)
  end

  it "ends when the store does not keep new envelopes, because all other files would fail too" do
    expect { work([1, 2]) { raise EncryptedS3Service::NotRotatedError, "kept" } }
      .to raise_error(EncryptedS3Service::NotRotatedError)
  end

  it "leaves no step running when it ends, so that uploads are aborted" do
    begun = Queue.new
    ended = Queue.new
    step = lambda do |item|
      raise LoadError if item == 3 && 2.times { begun.pop }

      begun << item
      sleep
    ensure
      ended << item
    end
    expect { work([1, 2, 3], size: 3, &step) }.to raise_error(LoadError)
    expect(Array.new(3) { ended.pop(timeout: 0) }).to contain_exactly(1, 2, 3)
  end

  it "can be interrupted by its caller" do
    begun = Queue.new
    caller = Thread.new { work([1, 2]) { (begun << true) && sleep } }
    begun.pop
    expect(caller.kill.join(5)).to eq(caller)
  end

  it "names the accepted numbers" do
    [0, 65, 1.5, nil].each do |size|
      expect { described_class.new(size) }
        .to raise_error(EncryptedS3Service::ConfigurationError, "CONCURRENCY must be a number from 1 to 64.")
    end
  end
end
