# frozen_string_literal: true

# Passes requests to a Rack application, and records them and the beginnings of its answers.
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

  # @return [Array<Entry>] since they were last cleared
  def entries
    taken = Array.new(@entries.size) { @entries.pop }
    taken.each { |entry| @entries << entry }
  end

  def clear = @entries.clear
end
