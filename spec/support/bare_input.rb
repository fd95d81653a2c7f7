# frozen_string_literal: true

require "stringio"

# The body of a request as some servers hand it over: only `read` is certain (Rack 3).
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
