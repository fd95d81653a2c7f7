# frozen_string_literal: true

# Passes requests to a Rack application, and records the requests, and status and headers of the answers.
class RequestLog
  Entry = Struct.new(:verb, :path, :range, :status, :headers)

  def initialize(app)
    @app = app
    @entries = Queue.new
  end

  def call(environment)
    status, headers, body = @app.call(environment)
    @entries << Entry.new(*environment.values_at("REQUEST_METHOD", "PATH_INFO", "HTTP_RANGE"), status, headers.to_h.dup)
    [status, headers, body]
  end

  # @return [Array<Entry>] entries since the last {#clear}
  def entries
    taken = Array.new(@entries.size) { @entries.pop }
    taken.each { |entry| @entries << entry }
  end

  def clear = @entries.clear
end
