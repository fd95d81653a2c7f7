# frozen_string_literal: true

# Timeout ends a slow request, Thread#raise a job, a signal a server. None of them may hang on a store that does not
# answer, and none of them may leave anything behind.
RSpec.describe EncryptedS3Service::Client, "interrupted" do
  # Seconds within which an interrupt must take effect; a stalled store stalls for ever here.
  let(:promptly) { 5 }

  def with_stalled_store
    StallingServer.run do |store|
      yield described_class.new(**TestStore.settings_for(store.endpoint)), store
    end
  end

  calls = {
    "a download" => ->(client) { client.download("a") },
    "a download of a part" => ->(client) { client.download_chunk("a", 0..3) },
    "a question whether a file exists" => ->(client) { client.exist?("a") },
    "a deletion" => ->(client) { client.delete("a") },
    "a deletion by prefix" => ->(client) { client.delete_prefixed("a/") },
    "an upload" => ->(client) { client.upload("a", StringIO.new("x")) }
  }

  calls.each do |name, call|
    it "#{name} ends with Timeout" do
      with_stalled_store do |client|
        started = Process.clock_gettime(Process::CLOCK_MONOTONIC)
        expect { Timeout.timeout(0.2) { call.call(client) } }.to raise_error(Timeout::Error)
        expect(Process.clock_gettime(Process::CLOCK_MONOTONIC) - started).to be < promptly
      end
    end

    it "#{name} ends when its thread is killed, and its ensure blocks run" do
      with_stalled_store do |client, store|
        cleaned = false
        thread = Thread.new do
          call.call(client)
        ensure
          cleaned = true
        end
        store.arrived
        thread.kill
        expect(thread.join(promptly)).to be(thread)
        expect(cleaned).to be(true)
      end
    end

    it "#{name} ends with the error that is raised in its thread" do
      with_stalled_store do |client, store|
        thread = Thread.new { call.call(client) }
        thread.report_on_exception = false
        store.arrived
        thread.raise(RuntimeError, "shut down")
        expect { thread.join(promptly) || raise("it hangs") }.to raise_error(RuntimeError, "shut down")
      end
    end
  end

  it "a killed upload leaves nothing in the bucket, and no unfinished parts" do
    key = unique_key
    reached = Queue.new
    source = IoDoubles::ThenDo.new(30 * TestStore::MEBIBYTE) { reached.push(true) && sleep }
    thread = Thread.new { new_client.upload(key, source) }
    reached.pop
    thread.kill
    expect(thread.join(60)).to be(thread)
    expect(traces_of(key)).to eq([])
  end

  it "continues after a signal handler has run" do
    with_stalled_store do |client, store|
      handled = Queue.new
      previous = trap("USR2") { handled.push(true) }
      helper = Thread.new do
        store.arrived
        Process.kill("USR2", Process.pid)
        handled.pop
        store.answer
      end
      # The handler runs on the main thread, which is the one that waits.
      expect { client.download("a") }.to raise_error(EncryptedS3Service::NotFoundError)
      helper.join
      expect(store.further_arrivals).to eq(0)
    ensure
      trap("USR2", previous || "DEFAULT")
    end
  end

  it "delays a masked interrupt until the transfer is over" do
    with_stalled_store do |client, store|
      steps = Queue.new
      thread = Thread.new do
        Thread.handle_interrupt(RuntimeError => :never) do
          client.download("a")
        rescue EncryptedS3Service::NotFoundError
          steps.push(:answered)
        end
        steps.push(:not_reached)
      end
      thread.report_on_exception = false
      store.arrived
      thread.raise(RuntimeError, "masked")
      expect(thread.join(0.3)).to be_nil
      store.answer
      expect { thread.join(promptly) }.to raise_error(RuntimeError, "masked")
      expect(Array.new(steps.size) { steps.pop }).to eq([:answered])
    end
  end

  describe "while a large object is returned" do
    let(:size) { 200 * TestStore::MEBIBYTE }
    let(:client) { new_client(memory_limit: TestStore::MEBIBYTE) }

    before do
      @key = unique_key
      Tempfile.create do |file|
        file.truncate(size)
        client.upload(@key, file)
      end
    end

    after { client.delete(@key) }

    it "reading ends with Timeout, and not at the end of the object" do
      reader = client.reader(@key)
      read = reader.read(1).bytesize
      expect { Timeout.timeout(0.05) { read += reader.read(size).bytesize while read < size } }
        .to raise_error(Timeout::Error)
      expect(read).to be < size
      expect(reader.read(1)&.bytesize).to eq(1)
    ensure
      reader&.close
    end

    it "writing into a file ends with its thread at any position, and leaves the file unchanged" do
      # Into the first pass, and into the second.
      [0.02, 0.1, 0.3, 0.6].each do |pause|
        Tempfile.create(binmode: true) do |file|
          file.write("before")
          thread = Thread.new { client.download_file(@key, file) }
          sleep pause
          thread.kill
          expect(thread.join(promptly)).to be(thread)
          next if thread.value

          sizes = Array.new(5) { sleep(0.02) && file.size }
          expect(sizes.uniq).to eq([6])
          expect(File.binread(file.path)).to eq("before")
        end
      end
    end

    # Seconds from the interrupt to the end of the thread, for several attempts that are interrupted at different
    # points.
    def delays(pauses = [0.02, 0.05, 0.1, 0.2, 0.4])
      pauses.map do |pause|
        begun = Queue.new
        thread = Thread.new { yield begun }
        begun.pop
        sleep pause
        interrupted = Process.clock_gettime(Process::CLOCK_MONOTONIC)
        thread.kill
        thread.join(promptly)
        Process.clock_gettime(Process::CLOCK_MONOTONIC) - interrupted
      end
    end

    def median(numbers) = numbers.sort[numbers.size / 2]

    # On an idle machine these are some milliseconds. A second leaves room for a busy one.
    it "returning, skipping and sending end within a second of the interrupt" do
      Tempfile.create do |file|
        file.truncate(size)
        handing_out = delays do |begun|
          loop { client.download(@key) { |_chunk| begun.push(true) } }
        end
        skipping = delays do |begun|
          reader = client.reader(@key)
          reader.read(1)
          begun.push(true)
          reader.skip(size)
        ensure
          reader&.close
        end
        sending = delays do |begun|
          begun.push(true)
          loop { file.rewind && client.upload(@key, file) }
        end
        expect([median(handing_out), median(skipping), median(sending)]).to all(be < 1)
      end
    end

    it "sending ends with its thread" do
      Tempfile.create do |file|
        file.truncate(size)
        thread = Thread.new { client.upload(unique_key, file) }
        sleep 0.05
        thread.kill
        expect(thread.join(promptly)).to be(thread)
      end
    end
  end

  it "works afterwards" do
    client = new_client
    client.upload(key = unique_key, StringIO.new("x"))
    5.times do
      thread = Thread.new { loop { client.download(key) } }
      sleep 0.01
      thread.kill
      expect(thread.join(promptly)).to be(thread)
    end
    expect(client.download(key)).to eq("x")
  end
end
