# frozen_string_literal: true

require "openssl"
require_relative "drawing"
require_relative "film"

module Demo
  # A file that was made for the demonstration.
  # @!attribute path [String]
  # @!attribute content_type [String]
  # @!attribute size [Integer] bytes
  # @!attribute sha256 [String] hexadecimal
  Sample = Data.define(:path, :content_type, :size, :sha256) do
    # @return [String]
    def filename = File.basename(path)

    # @param count [Integer]
    # @return [Array<String>] pieces of 16 bytes, spread evenly over the file
    def pieces(count)
      step = (size - 16).fdiv([count - 1, 1].max)
      File.open(path, "rb") { |file| Array.new(count) { |index| file.pread(16, (index * step).floor) }.uniq }
    end
  end

  # Creates the files, with different content in each run.
  class Samples
    # Bytes of the large file.
    LARGE = 200_000_000
    # Lines of the text, which are numbered.
    LINES = ["Dear Zoë, this letter is nobody's business but yours.",
             "The key is under the third flower pot — don't tell.",
             "We met at half past seven, and nobody noticed."].freeze
    private_constant :LINES

    # @param dir [String]
    def initialize(dir)
      @dir = dir
    end

    # @return [Array<Sample>] a text, a picture, a PDF, and a film and a recording where there is ffmpeg
    def small
      [make("Letter to Zoë.txt", "text/plain") { |file| file << text },
       make("Summer evening.png", "image/png") { |file| file << Drawing.png(640, 480) },
       make("Invoice 2041.pdf", "application/pdf") { |file| file << Drawing.pdf("Invoice 2041", invoice) },
       *recorded]
    end

    # @return [Sample] measurements, line by line
    def large
      make("Measurements.csv", "text/csv") do |file|
        random = Random.new
        file << "measurement\n"
        # Whole lines of 61 bytes, about a megabyte at a time.
        file << [random.bytes(45 * 16_384)].pack("m45") while file.size < LARGE - 1_000_000
        file << [random.bytes(45 * 16_384)].pack("m45")[0, LARGE - file.size]
      end
    end

    private

    def recorded
      tone = sample("Tuning fork.mp3", "audio/mpeg") { |path| Film.tone(path) }
      film = sample("Sunset at sea.mp4", "video/mp4") { |path| Film.sunset(path) }
      [tone, film].compact
    end

    def make(name, content_type)
      sample(name, content_type) do |path|
        File.open(path, "wb") do |file|
          file.sync = true
          yield file
        end
      end
    end

    def sample(name, content_type)
      path = File.join(@dir, name)
      return unless yield path

      Sample.new(path: path, content_type: content_type, size: File.size(path),
                 sha256: OpenSSL::Digest::SHA256.file(path).hexdigest)
    end

    def text = Array.new(60) { |line| "#{line + 1}. #{LINES.sample}\n" }.join

    def invoice
      prices = Array.new(5) { rand(10_00..900_00) }
      [*prices.each_with_index.map { |price, item| "Item #{item + 1}: #{euros(price)}" }, "Total: #{euros(prices.sum)}"]
    end

    def euros(cents) = format("%.2<amount>f EUR", amount: cents / 100.0)
  end
end
