# frozen_string_literal: true

# Sources with only the method that an upload may call: `read(length, buffer)`.
module IoDoubles
  # Returns only a few bytes at a time, even if there are more.
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

  # Returns this number of bytes, then calls the block.
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
