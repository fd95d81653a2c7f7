# frozen_string_literal: true

require "stringio"

# The body of a request from some servers: only `read` is guaranteed (Rack 3).
class BareInput
  # @return [Array<Integer, nil>] how much was asked for each time
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
