# frozen_string_literal: true

require "json"
require "net/http"
require_relative "../rails_helper"
require_relative "../support/dummy_process"
require_relative "../support/plain_by_default"

RSpec.describe EncryptedS3Service, "with many customers at once" do
  include_context "with an application that stores in plaintext by default"

  let(:run) { SecureRandom.hex(4) }

  # @return [Hash{Array(String, String) => Integer}] how many rows of a customer's kind are on which service
  def rows
    ActiveStorage::Blob.where("filename LIKE ?", "%#{run}%").pluck(:filename, :service_name)
                       .map { |filename, service| [filename[/\A\w+/], service] }.tally
  end

  # Builds a customer's blob, and leaves the block in one of several ways.
  def build(organisation, number)
    blob = nil
    catch(:left) do
      organisation.with_s3_settings do
        Thread.pass
        blob = ActiveStorage::Blob.new(filename: "#{organisation.name} #{run}", byte_size: 1, checksum: "none")
        Thread.pass
        { 0 => -> { raise "left" }, 1 => -> { throw :left } }.fetch(number % 4, -> {}).call
      end
    end
    blob
  rescue RuntimeError
    blob
  end

  # The first blob asks for the table's columns. On Rails 7.1 a thread that did so would keep its connection to the end.
  before { [customer, other_customer, ActiveStorage::Blob.new] }

  it "sends none of 4,000 blobs of sixteen threads to the wrong service" do
    threads = Array.new(16) do |thread|
      Thread.new do
        organisations = [customer, other_customer].rotate(thread)
        blobs = Array.new(250) { |number| build(organisations[number % 2], number / 2) }
        ActiveStorage::Blob.connection_pool.with_connection { ActiveStorage::Blob.transaction { blobs.each(&:save!) } }
        EncryptedS3Service.current_service
      end
    end
    expect(threads.map(&:value)).to all(be_nil)
    expect(rows).to eq(%w[encrypted encrypted] => 2000, %w[plain local] => 2000)
  end

  it "stores the files of sixteen threads in the right services while other threads are killed" do
    killing = true
    victims = Thread.new do
      while killing
        begun = Queue.new
        victim = Thread.new { customer.with_s3_settings { loop { begun.push(place) } } }
        begun.pop
        victim.kill.join
      end
    end
    blobs = Array.new(16) do |thread|
      Thread.new do
        Array.new(2) { |number| [customer, other_customer].rotate(thread + number).first.with_s3_settings { upload } }
      end
    end.flat_map(&:value)
    encrypted, plain = blobs.partition { |blob| blob.service_name == "encrypted" }
    expect([encrypted.size, plain.size]).to eq([16, 16])
    expect(encrypted.map { |blob| encrypted_in_bucket?(blob, blob.filename.to_s) }).to all(be(true))
    expect(plain.map { |blob| server.head(bucket, blob.key)[0] }).to all(eq(404))
  ensure
    killing = false
    victims.join
  end

  # Stores a file whose text names its customer.
  def upload
    text = "#{Current.organisation.name} #{SecureRandom.hex(4)}"
    ActiveStorage::Blob.connection_pool.with_connection do
      blob = ActiveStorage::Blob.create_and_upload!(io: StringIO.new(text), filename: text, identify: false)
      belongs = text.start_with?(blob.service_name == "local" ? "plain" : "encrypted")
      belongs ? blob : raise("#{text} is on #{blob.service_name}")
    end
  end

  it "sends none of 4,000 blobs of 200 fibers to the wrong service if Rails isolates fibers" do
    printed, status = DummyProcess.run(<<~'RUBY', run, customer.id, other_customer.id)
      ActiveSupport::IsolatedExecutionState.isolation_level = :fiber
      run, *ids = input
      organisations = Organisation.find(ids)
      built = []
      fibers = Array.new(200) do |fiber|
        Fiber.new do
          20.times do |number|
            organisation = organisations[(fiber + number) % 2]
            catch(:left) do
              organisation.with_s3_settings do
                Fiber.yield
                built << ActiveStorage::Blob.new(filename: "#{organisation.name} #{run}", byte_size: 1, checksum: "none")
                raise "another customer" unless Current.organisation == organisation
                if number.zero? && fiber % 8 < 2
                  key = "#{run}/#{organisation.name}/#{fiber}"
                  ActiveStorage::Blob.service.upload(key, StringIO.new("secret"))
                end
                Fiber.yield
                throw :left if number.odd?
              end
            end
            raise "left on #{EncryptedS3Service.current_service}" if EncryptedS3Service.current_service
            Fiber.yield
          end
          :done
        end
      end
      fibers = fibers.shuffle(random: Random.new(1)).select(&:alive?).each(&:resume) until fibers.none?(&:alive?)
      ActiveStorage::Blob.transaction { built.each(&:save!) }
      puts built.size
    RUBY
    expect([printed, status.success?]).to eq(["4000\n", true])
    expect(rows).to eq(%w[encrypted encrypted] => 2000, %w[plain local] => 2000)
    keys = server.list(bucket, prefix: "#{run}/")
    expect(keys.size).to eq(25)
    expect(keys).to all(start_with("#{run}/encrypted/"))
    expect(keys.map { |key| stored_plaintext(key) }).to all(eq("secret"))
  end

  it "keeps the customers of Puma's threads apart" do
    DummyProcess.start(<<~RUBY) do |process|
      require "puma"
      require "puma/server"
      server = Puma::Server.new(Rails.application, nil, min_threads: 8, max_threads: 8)
      puts server.add_tcp_listener("127.0.0.1", 0).addr[1]
      server.run.join
    RUBY
      port = Integer(process.line)
      answers = Array.new(12) { |visitor| Thread.new { visit(port, visitor) } }.flat_map(&:value)
      expect(answers.tally).to eq(%w[encrypted encrypted] => 48, %w[plain local] => 48)
    end
  end

  # @return [Array] the customer and the service that the application reports for each form's file
  def visit(port, visitor)
    Net::HTTP.start("127.0.0.1", port, nil, read_timeout: 60) do |http|
      Array.new(8) do |turn|
        organisation = [customer, other_customer].rotate(visitor + turn).first
        form = Net::HTTP::Post.new("/tenant_documents", "x-organisation" => organisation.id.to_s)
        form.set_form([["file", StringIO.new("a file"), { filename: "a.txt" }]], "multipart/form-data")
        JSON.parse(http.request(form).body).values_at("tenant", "service")
      end
    end
  end
end
