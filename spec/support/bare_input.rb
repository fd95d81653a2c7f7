# frozen_string_literal: true

require "stringio"

# The request body of a server that guarantees only `read` (Rack 3).
class BareInput
  # @return [Array<Integer, nil>] the length that each call requested
  attr_reader :asked

  def initialize(data)
    @io = StringIO.new(data)
    @asked = []
  end

  def read(length = nil, buffer = nil)
    @asked << length
    @io.read(*[length, buffer].compact)
  end
end
