# frozen_string_literal: true

require_relative "bucket_object"
require_relative "checks"
require_relative "progress"
require_relative "readers"
require_relative "samples"
require_relative "units"

module Demo
  # What there is to see.
  class Show
    # The notification that the service sends while it uploads.
    PROGRESS_EVENT = "transfer_progress.encrypted_s3_service"
    private_constant :PROGRESS_EVENT

    # @param workplace [Workplace]
    # @param web [Application]
    # @param console [Console]
    def initialize(workplace, web, console)
      @workplace = workplace
      @web = web
      @console = console
      @samples = Samples.new(workplace.dir)
      @readers = Readers.new(workplace, web, console)
      @rows = [["File", "Size", "Upload", "Download", "HTTP", "AWS client", "Checks"]]
      @failures = []
    end

    # Leaves the application running until it is interrupted.
    # @return [void]
    def serve
      @samples.small.each { |sample| store(sample) }
      # So that the first visitor sees what was made of them, in the bucket as well.
      Document.find_each { |document| document.file.representation(:thumbnail).processed if document.file.representable? }
      @console.say("\n  The upload page is at #{@console.paint(@web.url, :bold)}. Ctrl-C stops everything.\n\n")
      sleep
    end

    # Stores files, shows what the bucket holds of them, and reads them back.
    # @return [Integer] the exit status
    def prove
      @samples.small.each { |sample| prove_one(sample) }
      prove_one(@samples.large)
      summarize
    end

    private

    def store(sample)
      listener = ->(*, payload) { yield payload[:bytes] if block_given? }
      ActiveSupport::Notifications.subscribed(listener, PROGRESS_EVENT) do
        File.open(sample.path, "rb") do |file|
          Document.create!(file: { io: file, filename: sample.filename, content_type: sample.content_type })
        end
      end
    end

    def prove_one(sample)
      @console.title("#{sample.filename}  #{sample.content_type}, #{Units.bytes(sample.size)}")
      checks = Checks.new(@console, sample.filename)
      times = {}
      checks.attempt("stored and read back") { times = observe(sample, checks) }
      @failures.concat(checks.failures)
      @rows << row(sample, times, checks)
    ensure
      FileUtils.rm_f(sample.path)
    end

    def observe(sample, checks)
      document, seconds = upload(sample)
      object = BucketObject.new(@workplace, sample, document.file.blob)
      @console.say("  In the bucket")
      @console.facts(object.facts, 4)
      object.check(checks)
      { upload: seconds, **@readers.check(sample, document, checks) }
    end

    # Active Storage computes a checksum before it uploads. That time is not the upload's.
    def upload(sample)
      progress = seconds = nil
      timing = ->(event) { seconds = event.duration / 1000 }
      document = ActiveSupport::Notifications.subscribed(timing, "service_upload.active_storage") do
        store(sample) { |bytes| (progress ||= Progress.new(@console, "Upload", sample.size)).at(bytes) }
      end
      (progress || Progress.new(@console, "Upload", sample.size)).finish(seconds: seconds)
      [document, seconds]
    end

    def row(sample, times, checks)
      passed = checks.count - checks.failures.size
      [sample.filename, Units.bytes(sample.size),
       *%i[upload download http aws].map { |way| times[way] ? speed(sample, times[way]) : "failed" },
       "#{passed} of #{checks.count}"]
    end

    def speed(sample, seconds) = Units.speed(sample.size, seconds) || Units.time(seconds)

    def summarize
      @console.title("Summary")
      @console.table(@rows)
      memory = peak_memory
      @console.say("\n  Peak memory of this process, with Rails and the AWS client in it: #{memory}") if memory
      @console.say
      @failures.empty? ? @console.say("  #{@console.paint("All checks passed.", :green)}") : complain
      @failures.empty? ? 0 : 1
    end

    def complain
      @console.failure("  #{@failures.size} failed:")
      @failures.each { |failure| @console.failure("    #{failure}") }
    end

    # Only Linux tells.
    def peak_memory
      kilobytes = File.read("/proc/self/status")[/^VmHWM:\s+(\d+) kB/, 1]
      Units.bytes(kilobytes.to_i * 1024) if kilobytes
    rescue SystemCallError
      nil
    end
  end
end
