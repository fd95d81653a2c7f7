# frozen_string_literal: true

# Random changes of valid inputs, the same in every run. With `FUZZ_SECONDS`, each example runs for this time and prints
# the number of inputs. `FUZZ_SEED` selects another sequence.
module Mutations
  SEED = 20_251_125

  # Yields the inputs themselves and then mutations of them.
  # @param inputs [Array<String>]
  # @param runs [Integer] the number of mutations, unless `FUZZ_SECONDS` is set
  # @return [Integer] the number of inputs
  # @raise [RuntimeError] if the block raises; the message contains the input
  def mutations(inputs, runs:)
    source = Source.new(inputs.map(&:b), Random.new(ENV.fetch("FUZZ_SEED", SEED).to_i))
    inputs.each { |input| tried(input) { yield input } }
    count = inputs.size
    until Mutations.over?(count, runs)
      input = source.next
      tried(input) { yield input }
      count += 1
    end
    RSpec.configuration.reporter.message("  #{count} inputs") if ENV.key?("FUZZ_SECONDS")
    count
  end

  # @return [Boolean] whether the time or the number of runs is reached
  def self.over?(count, runs)
    seconds = ENV.fetch("FUZZ_SECONDS", nil)
    return count >= runs unless seconds

    @ends ||= {}
    now >= (@ends[RSpec.current_example] ||= now + seconds.to_f)
  end

  def self.now = Process.clock_gettime(Process::CLOCK_MONOTONIC)

  def tried(input)
    yield
  rescue StandardError, RSpec::Expectations::ExpectationNotMetError => e
    raise "With the input #{input.inspect}: #{e.class}: #{e.message}", cause: e
  end

  # Generates the mutations.
  class Source
    # Bytes with a meaning in some format.
    WORDS = ["-", "=", ",", ";", "/", "%", "%00", "\0", "\r\n", "\n", "\t", " ", "\"", "\\", "\xff", "\xc3\x28", "é",
             "9" * 30, "bytes=", "--", "{}", "[]", "null", "18446744073709551616", "-1", "<script>"].map(&:b).freeze

    def initialize(inputs, random)
      @inputs = inputs
      @random = random
    end

    # @return [String] one of the inputs with one to four changes, in UTF-8, which may be invalid
    def next
      bytes = @inputs.sample(random: @random).dup
      @random.rand(1..4).times { change(bytes) }
      bytes.force_encoding(Encoding::UTF_8)
    end

    private

    def change(bytes)
      at = @random.rand(bytes.bytesize + 1)
      length = @random.rand(30)
      case @random.rand(6)
      when 0 then bytes.setbyte(at, bytes.getbyte(at) ^ (1 << @random.rand(8))) if at < bytes.bytesize
      when 1 then bytes.setbyte(at, @random.rand(256)) if at < bytes.bytesize
      when 2 then bytes.insert(at, WORDS.sample(random: @random))
      when 3 then bytes.slice!(at, length)
      when 4 then bytes.insert(at, bytes.byteslice(at, length))
      else bytes[at, length] = @inputs.sample(random: @random).byteslice(at / 2, length).to_s
      end
    end
  end
end
