# frozen_string_literal: true

require_relative "bucket_object"
require_relative "checks"
require_relative "direct_upload"
require_relative "links"
require_relative "progress"
require_relative "readers"
require_relative "samples"
require_relative "two_customers"
require_relative "units"
require_relative "visitor"

module Demo
  # The demonstration: stores files, checks them, and prints the results.
  class Show
    # The notification of the service during an upload.
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
      @visitor = Visitor.new(web.url)
      @readers = Readers.new(workplace, @visitor, console)
      @links = Links.new(workplace, @visitor, @readers.aws_client)
      @rows = [["File", "Size", "Upload", "Download", "HTTP", "AWS client", "Checks"]]
      @failures = []
    end

    # Leaves the application running until it is interrupted.
    # @return [void]
    def serve
      samples = @samples.small
      samples.each { |sample| store(sample) }
      # The text and the picture without encryption too, to show the difference in the bucket.
      samples.first(2).each { |sample| store(sample, Organisation.find_by!(encrypted: false)) }
      # Creates the thumbnails, so that the first visitor sees them and their objects.
      files = Document.all.map(&:file).select(&:representable?)
      files.each { |file| file.representation(:thumbnail).processed }
      @console.say("\n  The upload page is at #{@console.paint(@web.url, :bold)}. Ctrl-C stops everything.\n\n")
      sleep
    end

    # Stores files, prints and checks their objects, and reads them back.
    # @return [Integer] the exit status
    def prove
      @samples.small.each { |sample| prove_one(sample) }
      prove_one(@samples.large)
      prove_direct_upload
      prove_customers
      prove_deletion
      summarize
    end

    private

    def store(sample, customer = Organisation.find_by!(encrypted: true))
      listener = ->(*, payload) { yield payload[:bytes] if block_given? }
      ActiveSupport::Notifications.subscribed(listener, PROGRESS_EVENT) do
        File.open(sample.path, "rb") do |file|
          attachable = { io: file, filename: sample.filename, content_type: sample.content_type }
          customer.with_s3_settings { customer.documents.create!(file: attachable) }
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
      times = @readers.check(sample, document, checks)
      @links.check(sample, document, checks)
      { upload: seconds, **times }
    end

    def prove_direct_upload
      @console.title("Direct upload  the requests of Active Storage's JavaScript")
      checks = Checks.new(@console, "Direct upload")
      checks.attempt("direct upload") { DirectUpload.new(@workplace, @visitor, @web.url).check(checks) }
      @failures.concat(checks.failures)
    end

    def prove_customers
      @console.title("Two customers  one with encryption and one without, at the same time")
      checks = Checks.new(@console, "Two customers")
      checks.attempt("two customers") { TwoCustomers.new(@workplace, @web.url).check(checks) }
      @failures.concat(checks.failures)
    end

    def prove_deletion
      @console.title("Deletion  of all files on the page")
      checks = Checks.new(@console, "Deletion")
      checks.attempt("deletion") do
        Organisation.find_each do |customer|
          @visitor.become(customer)
          customer.document_ids.each { |id| @visitor.submit("/documents/#{id}", "_method" => "delete") }
        end
        left = @workplace.server.list(@workplace.bucket)
        checks.add("the bucket is empty: thumbnails and previews are deleted too",
                   ("#{left.size} objects are left" if left.any?))
      end
      @failures.concat(checks.failures)
    end

    # Active Storage computes a checksum before the upload. That time is not included.
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
      @console.say("\n  Peak memory of this process, including Rails and the AWS client: #{memory}") if memory
      @console.say
      @failures.empty? ? @console.say("  #{@console.paint("All checks passed.", :green)}") : complain
      @failures.empty? ? 0 : 1
    end

    def complain
      @console.failure("  #{@failures.size} failed:")
      @failures.each { |failure| @console.failure("    #{failure}") }
    end

    # Only available on Linux.
    def peak_memory
      kilobytes = File.read("/proc/self/status")[/^VmHWM:\s+(\d+) kB/, 1]
      Units.bytes(kilobytes.to_i * 1024) if kilobytes
    rescue SystemCallError
      nil
    end
  end
end
