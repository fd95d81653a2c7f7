# frozen_string_literal: true

require_relative "../support/ruby_process"

# The memory of a worker must not depend on the size of the largest uploaded film.
RSpec.describe EncryptedS3Service, "moving 300 MB",
               if: File.exist?("/proc/self/status") && Gem.loaded_specs.key?("activestorage") do
  transfers = {
    "storing a file" => "File.open(film, 'rb') { |file| service.upload(key, file) }",
    "reading in chunks" => "service.download(stored) { |chunk| seen += chunk.bytesize }",
    "reading into a temporary file" => "service.open(stored, verify: false) { |file| seen += file.size }"
  }

  script = <<~'RUBY'
    require "active_support/all"
    require "active_storage"
    require "active_storage/service/encrypted_s3_service"
    entry, key, stored, film, report, code = input
    service = ActiveStorage::Service::EncryptedS3Service.new(**entry)
    most = -> { File.read("/proc/self/status")[/VmHWM:\s*(\d+)/, 1].to_i * 1024 }
    GC.start
    before = most.call
    seen = 0
    eval(code)
    File.write(report, [most.call - before, seen].join(" "))
  RUBY

  # A download has three or four ranges of 5 MiB under way, and the last few chunks that the application has taken.
  most = { "storing a file" => 100_000_000, "reading in chunks" => 65_000_000,
           "reading into a temporary file" => 65_000_000 }

  let(:size) { 300_000_000 }

  before(:context) do
    @folder = Dir.mktmpdir
    @film = File.join(@folder, "film")
    @stored = unique_key
    File.open(@film, "w+b") do |file|
      file.truncate(300_000_000)
      new_client.upload(@stored, file)
    end
  end

  after(:context) do
    new_client.delete(@stored)
    FileUtils.rm_rf(@folder)
  end

  transfers.each do |what, code|
    it "needs at most #{most.fetch(what) / 1_000_000} MB for #{what}, and prints nothing" do
      report = File.join(@folder, "report")
      output, status = RubyProcess.run(script, TestStore.settings, key = unique_key, @stored, @film, report, code)
      expect([output, status.exitstatus]).to eq(["", 0])
      grown, seen = File.read(report).split.map(&:to_i)
      expect(grown).to be < most.fetch(what)
      expect(what.start_with?("storing") ? direct_size(key) : seen).to eq(size)
    end
  end

  def direct_size(key) = new_client.then { |client| client.size(key).tap { client.delete(key) } }
end
