# frozen_string_literal: true

require_relative "../rails_helper"
require_relative "../support/plain_by_default"

RSpec.describe EncryptedS3Service, ".with_service" do
  include_context "with an application that stores in plaintext by default"

  it "encrypts new files while the block runs, and uses the former service afterwards" do
    inside = described_class.with_service(:encrypted) { store("secret") }
    outside = store("secret")
    expect([inside, outside].map(&:service_name)).to eq(%w[encrypted local])
    expect(encrypted_in_bucket?(inside, "secret")).to be(true)
    expect(server.head(bucket, outside.key)[0]).to eq(404)
  end

  it "returns the block's result and the chosen service" do
    expect(described_class.current_service).to be_nil
    expect(described_class.with_service("encrypted") { described_class.current_service }).to eq(:encrypted)
    expect(ActiveStorage::Blob.service.name).to eq(:local)
  end

  it "nests, with nil for the application's default" do
    places = described_class.with_service(:encrypted) do
      inner = described_class.with_service(nil) { [place, described_class.with_service(:mirrored) { place }, place] }
      [*inner, place]
    end
    expect(places).to eq(%w[local mirrored local encrypted])
    expect(place).to eq("local")
  end

  it "ends with an exception, a throw, a break, a return and a next", :aggregate_failures do
    expect { described_class.with_service(:encrypted) { raise "no" } }.to raise_error("no")
    expect(place).to eq("local")
    catch(:done) { described_class.with_service(:encrypted) { throw :done } }
    expect(place).to eq("local")
    described_class.with_service(:encrypted) { break }
    expect(place).to eq("local")
    -> { described_class.with_service(:encrypted) { return } }.call
    expect(place).to eq("local")
    described_class.with_service(:encrypted) { next }
    expect(place).to eq("local")
  end

  it "ends in a thread that is killed, before the thread's ensure runs" do
    seen = Queue.new
    thread = Thread.new do
      described_class.with_service(:encrypted) { seen.push(place) && sleep }
    ensure
      seen.push(place)
    end
    expect(seen.pop).to eq("encrypted")
    thread.kill.join
    expect(seen.pop).to eq("local")
  end

  it "refuses a service that does not exist at once, names the existing ones, and does not run the block" do
    run = false
    expect { described_class.with_service(:encrypted_amazn) { run = true } }
      .to raise_error(described_class::ConfigurationError, /:encrypted_amazn: .*has encrypted, .*local/)
    expect(run).to be(false)
    expect(place).to eq("local")
  end

  it "does not take an empty name, an object or a missing block for the default" do
    expect { described_class.with_service("") { store } }.to raise_error(described_class::ConfigurationError)
    expect { described_class.with_service(1) { store } }.to raise_error(described_class::ConfigurationError, /Integer/)
    expect { described_class.with_service(:encrypted) }.to raise_error(LocalJumpError)
    expect(described_class.current_service).to be_nil
  end

  it "applies only to this thread" do
    described_class.with_service(:encrypted) do
      expect(Thread.new { place }.value).to eq("local")
      name = described_class.current_service
      expect(Thread.new { described_class.with_service(name) { place } }.value).to eq("encrypted")
    end
  end

  it "applies to the enumerators and fibers of this thread if Rails isolates threads" do
    described_class.with_service(:encrypted) do
      expect(Enumerator.new { |places| places << place }.next).to eq("encrypted")
      expect(Fiber.new { place }.resume).to eq("encrypted")
    end
  end

  it "ends with the request if a fiber was left inside of a block" do
    # In a thread of its own: the response of another example may have left Rails' executor active in this one.
    after = Thread.new do
      Rails.application.executor.wrap do
        Fiber.new { described_class.with_service(:encrypted) { Fiber.yield } }.resume
      end
      Rails.application.executor.wrap { place }
    end
    expect(after.value).to eq("local")
  end

  it "continues around code that Rails' executor wraps" do
    described_class.with_service(:encrypted) do
      Rails.application.executor.wrap { place }
      expect(place).to eq("encrypted")
    end
  end

  it "continues after a request that is made inside of it, also within another request" do
    page = Rack::MockRequest.env_for("/", "HTTP_HOST" => "www.example.com")
    place_after_request = -> { Rails.application.call(page.dup).last.close || place }
    places = lambda do
      described_class.with_service(:encrypted) do
        [described_class.with_service(:mirrored, &place_after_request), place_after_request.call]
      end
    end
    # The request within it completes this run.
    Rails.application.executor.run!(reset: true)
    expect([places.call, places.call, place]).to eq([%w[mirrored encrypted], %w[mirrored encrypted], "local"])
  end

  it "changes no global state, whichever of two overlapping requests ends first" do
    shared = lambda do
      [ActiveStorage::Blob.method(:service).super_method.call.name, Rails.configuration.active_storage.service]
    end
    expect(shared.call).to eq(%i[local encrypted])
    [%i[first second], %i[second first]].each do |order|
      gates = { first: Queue.new, second: Queue.new }
      begun = Queue.new
      requests = { first: :encrypted, second: nil }.to_h do |name, service|
        thread = Thread.new do
          inside = described_class.with_service(service) do
            begun.push(shared.call) && gates[name].pop
            place
          end
          [inside, place]
        end
        expect(begun.pop).to eq(%i[local encrypted])
        [name, thread]
      end
      ends = order.to_h { |name| [name, gates[name].push(true) && requests[name].value] }
      expect(ends).to eq(first: %w[encrypted local], second: %w[local local])
    end
    expect(shared.call).to eq(%i[local encrypted])
  end

  it "leaves ActiveStorage::Blob.service= to the application, inside the block too" do
    described_class.with_service(:encrypted) do
      ActiveStorage::Blob.service = ActiveStorage::Blob.services.fetch(:mirrored)
      expect(place).to eq("encrypted")
    end
    expect(place).to eq("mirrored")
  end

  it "ends also if the application has no default service" do
    ActiveStorage::Blob.service = nil
    expect(described_class.with_service(:encrypted) { place }).to eq("encrypted")
    expect(place).to be_nil
  end

  it "reads files from the service that stores them, whatever is chosen" do
    encrypted = described_class.with_service(:encrypted) { store("one") }
    plain = store("two")
    read = -> { ActiveStorage::Blob.find([encrypted.id, plain.id]).sort_by(&:id).map(&:download) }
    expect([described_class.with_service(:encrypted, &read), read.call]).to eq([%w[one two]] * 2)
  end

  it "composes into the chosen service" do
    whole = described_class.with_service(:encrypted) do
      ActiveStorage::Blob.compose([store("1"), store("2")], filename: "whole")
    end
    expect(encrypted_in_bucket?(whole, "12")).to be(true)
  end
end
