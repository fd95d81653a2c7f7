# frozen_string_literal: true

# Sources that have as little as an upload may ask for: `read(length, buffer)`.
module IoDoubles
  # Gives at most a few bytes at a time, which is not its end.
  class ShortReads
    attr_reader :calls

    def initialize(data, step)
      @io = StringIO.new(data)
      @step = step
      @calls = 0
    end

    def read(length, buffer)
      @calls += 1
      @io.read([length, @step].min, buffer)
    end
  end

  # Gives so many bytes, then does what the block says.
  class ThenDo
    def initialize(bytes, &block)
      @left = bytes
      @block = block
    end

    def read(length, buffer)
      return @block.call if @left.zero?

      taken = [length, @left].min
      @left -= taken
      buffer.replace("x".b * taken)
    end
  end
end
