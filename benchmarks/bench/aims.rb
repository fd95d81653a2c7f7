# frozen_string_literal: true

require_relative "format"

module Bench
  # The performance aims of the gem, and whether they were reached.
  class Aims
    # The result for one aim on one server: `text`, and `misses`, the works that miss it with their values.
    Verdict = Struct.new(:text, :misses)

    MEMORY = 48 << 20
    STALL = 0.010
    # An unaligned range of 64 KiB is in two segments of 64 KiB, or in three with the unaligned end of the request.
    MOVED = 192 << 10
    private_constant :MEMORY, :STALL, :MOVED

    # @param results [Results]
    def initialize(results)
      @results = results
    end

    # @return [Array<Verdict>] for the aims that apply to these works
    def verdicts = [*downloads, *parts, *uploads, *operations].compact

    private

    def downloads
      whole = works { |work| work.kind == :download && work.large? }
      [ratio("whole downloads in chunks take at most the time of plain", whole, "plain", :wall, 1.0),
       ratio("CPU of whole downloads at most 1.2 of plain's", whole, "plain", :cpu, 1.2),
       limit("memory of whole downloads grows by at most 48 MiB", whole, :growth, MEMORY),
       limit("during whole downloads no other thread waits longer than 10 ms", whole, :stall, STALL)]
    end

    def parts
      ranges = works { |work| work.kind == :range && work.size > LARGE }
      cold, warm = ranges.partition(&:cold)
      own, foreign = cold.partition { |work| work.writer.nil? }
      [limit("64 KiB at random places move at most 192 KiB once the map is there", warm, :moved, MOVED),
       ratio("64 KiB at random places take at most 1.5 of plain's time", warm, "plain", :wall, 1.5),
       limit("the first 64 KiB, with a stored map: two requests", own, :requests, 2),
       verdict("the first 64 KiB of Amazon's object: one pass", foreign) { |work| passes(work) },
       ratio("the first chunk of a stream within 2 times plain", works { |work| work.kind == :first }, "plain",
             :wall, 2.0)]
    end

    def uploads
      up = works { |work| work.kind == :upload && work.large? && work.contenders.include?("plain") }
      # A file that is sent in one request is limited by the rate of one connection.
      line = @results.server == "line" ? up.select { |work| work.size > LARGE } : []
      [ratio("uploads at latency take at most the time of plain", line, "plain", :wall, 1.0),
       ratio("uploads at latency need at most the memory of plain", line, "plain", :growth, 1.0),
       verdict("CPU of uploads at most plain's and that of MD5 alone", up & digested.keys) { |work| excess(work) }]
    end

    def operations
      [ratio("CPU of small operations at most 1/4 of the reference's", works(&:small?), "reference", :cpu, 0.25),
       ratio("in Rails at most the time of plain", works(&:rails?), "plain", :wall, 1.0),
       ratio("in Rails at most the CPU of plain", works(&:rails?), "plain", :cpu, 1.0)]
    end

    def works(&) = @results.works.select(&)

    # @return [Hash{Work => Work}] uploads, each with the work that computes the MD5 of as many bytes
    def digested
      digests = works { |work| work.kind == :digest && work.digest == "md5" }
      works { |work| work.kind == :upload && work.contenders.include?("plain") }
        .to_h { |work| [work, digests.find { |digest| digest.size == work.size }] }.compact
    end

    def excess(work)
      ours, plain = %w[gem plain].map { |name| @results.value(work, name, :cpu) }
      allowed = plain + @results.value(digested.fetch(work), "plain", :cpu)
      "#{Format.seconds(ours)} instead of #{Format.seconds(allowed)}" if ours > allowed
    end

    # Bytes moved as a multiple of the object.
    def passes(work)
      passes = @results.value(work, "gem", :moved)&.fdiv(work.size)
      Format.ratio(passes) if passes && passes > 1.01
    end

    def ratio(text, works, other, quantity, most)
      verdict(text, works) do |work|
        ratio = @results.ratio(work, other, quantity)
        Format.ratio(ratio) if ratio && ratio > most
      end
    end

    def limit(text, works, quantity, most)
      verdict(text, works) do |work|
        value = @results.value(work, "gem", quantity)
        Format.quantity(quantity, value) if value && value > most
      end
    end

    def verdict(text, works)
      return if works.empty?

      Verdict.new(text, works.to_h { |work| [work, yield(work)] }.compact)
    end
  end
end
