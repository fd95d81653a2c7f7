# frozen_string_literal: true

require "stringio"
require "tempfile"

module Bench
  # One work of one contender, in the contender's own process.
  class Performance
    # Bytes of a range.
    RANGE = 64 << 10
    private_constant :RANGE

    # @param contender [String]
    # @param settings [Hash{Symbol => Object}] an entry of storage.yml without service and key
    # @return [ActiveStorage::Service]
    def self.service(contender, settings) = Contenders.build(contender, settings)

    # @param service [ActiveStorage::Service]
    # @param work [Work]
    # @param key [String] prefix of the keys of the objects, of which each thread has one
    # @param path [String] of a file with the content
    # @param checksum [String] checksum of the content, in the format of Active Storage
    def initialize(service, work, key:, path:, checksum:)
      @service = service
      @work = work
      @key = key
      @path = path
      @checksum = checksum
      @content = File.binread(path) if work.small?
    end

    # Stores the objects for reading, in a child process, so that the memory of this process does not grow.
    # @return [void]
    def prepare
      child = fork { @work.threads.times { |number| upload(number) } }
      Process.wait(child)
      raise "the object could not be stored" unless $CHILD_STATUS.success?
    end

    # Opens connections and loads code, with as little work as possible. Reads a range, because the figures are for an
    # object that was read before in part.
    # @return [void]
    def warm_up
      return repeat(0.1) if @work.small?
      return range(0) if @work.kind == :range && !@work.cold

      @service.exist?("none")
    end

    # @return [Integer] the number of operations
    def round = repeat(@work.seconds)

    # Deletes uploaded objects. Objects for reading are kept, because other works read them too.
    # @return [void]
    def clean_up
      @work.threads.times { |number| @service.delete("#{@key}-#{number}") } if @work.kind == :upload
    end

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

    # Reads the first bytes of a stream.
    def first(number)
      @service.download("#{@key}-#{number}") { |chunk| return check_chunk(chunk) }
      raise "no chunk"
    end

    def check_chunk(chunk)
      raise "an empty chunk" if chunk.empty?
    end

    def digest(_number) = OpenSSL::Digest.new(@work.digest).file(@path)

    def range(number)
      first = rand(@work.size - RANGE)
      length = @service.download_chunk("#{@key}-#{number}", first...(first + RANGE)).bytesize
      raise "#{length} bytes instead of #{RANGE}" unless length == RANGE
    end

    def check(length)
      raise "#{length} bytes instead of #{@work.size}" unless length == @work.size
    end
  end
end
