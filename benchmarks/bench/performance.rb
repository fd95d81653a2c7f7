# frozen_string_literal: true

require "stringio"
require "tempfile"

module Bench
  # One work as one contender does it, in the contender's own process.
  class Performance
    # Of a range that is read.
    RANGE = 64 << 10
    private_constant :RANGE

    # @param service [ActiveStorage::Service]
    # @param work [Work]
    # @param key [String] of the objects, of which each thread has its own
    # @param path [String] of a file with the bytes
    # @param checksum [String] Base64 of their MD5
    def initialize(service, work, key:, path:, checksum:)
      @service = service
      @work = work
      @key = key
      @path = path
      @checksum = checksum
      @content = File.binread(path) if work.small?
    end

    # Stores what will be read. In a child, so that this process' memory does not grow by it.
    # @return [void]
    def prepare
      return unless @work.reads?

      child = fork { @work.threads.times { |number| upload(number) } }
      Process.wait(child)
      raise "the object could not be stored" unless $CHILD_STATUS.success?
    end

    # Opens connections and loads code, with little of the work itself.
    # @return [void]
    def warm_up
      @work.small? ? repeat(0.1) : @service.exist?(@key)
    end

    # @return [Integer] how often it was done
    def round = repeat(@work.seconds)

    # @return [void]
    def clean_up = @work.threads.times { |number| @service.delete("#{@key}-#{number}") }

    private

    def repeat(seconds)
      deadline = Gauges.now + seconds
      return repeat_until(deadline, 0) if @work.threads == 1

      Array.new(@work.threads) { |number| Thread.new { repeat_until(deadline, number) } }.sum(&:value)
    end

    def repeat_until(deadline, number)
      count = 0
      loop do
        send(@work.kind, number)
        count += 1
        return count if Gauges.now >= deadline
      end
    end

    def upload(number)
      return send_io(number, StringIO.new(@content)) if @content

      File.open(@path, "rb") { |file| send_io(number, file) }
    end

    def send_io(number, io)
      @service.upload("#{@key}-#{number}", io, checksum: @checksum, content_type: "application/pdf")
    end

    def download(number)
      return check(@service.download("#{@key}-#{number}").bytesize) if @work.small?

      length = 0
      @service.download("#{@key}-#{number}") { |chunk| length += chunk.bytesize }
      check(length)
    end

    def open(number)
      @service.open("#{@key}-#{number}", checksum: @checksum) { |file| check(file.size) }
    end

    def range(number)
      first = rand(@work.size / RANGE) * RANGE
      length = @service.download_chunk("#{@key}-#{number}", first...(first + RANGE)).bytesize
      raise "#{length} bytes instead of #{RANGE}" unless length == RANGE
    end

    def check(length)
      raise "#{length} bytes instead of #{@work.size}" unless length == @work.size
    end
  end
end
