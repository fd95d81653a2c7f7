# frozen_string_literal: true

require "json"
require "net/http"

module Bench
  # Requests the same file from a server again and again, in its own process, so that its CPU time is not counted as the
  # server's.
  class Visitors
    # @param number [Integer] concurrent requests
    # @param size [Integer] bytes of the file
    def initialize(number, size)
      @number = number
      @size = size
      orders, @orders = IO.pipe
      @answers, answers = IO.pipe
      @pid = fork do
        @orders.close
        work(orders, answers)
        exit!
      end
      orders.close
      answers.close
      @orders.sync = true
    end

    # @param port [Integer] of the server
    # @param path [String] of the link
    # @return [void]
    def begin(port, path) = @orders.puts(JSON.generate([port, path]))

    # @param seconds [Float] minimum duration
    # @return [Integer] the number of received files
    def visit(seconds)
      @orders.puts(seconds)
      Integer(@answers.gets || raise("the visitors failed, see above"))
    end

    # Ends the process.
    # @return [void]
    def stop
      @orders.close
      Process.wait(@pid)
    end

    private

    def work(orders, answers)
      port, path = JSON.parse(orders.gets)
      connections = Array.new(@number) { Net::HTTP.start("127.0.0.1", port, read_timeout: 60) }
      while (order = orders.gets)
        deadline = now + Float(order)
        counts = connections.map { |http| Thread.new { visit_until(deadline, http, path) } }
        answers.puts(counts.sum(&:value))
        answers.flush
      end
    end

    def visit_until(deadline, http, path)
      count = 0
      loop do
        fetch(http, path)
        count += 1
        return count if now >= deadline
      end
    end

    def fetch(http, path)
      answer = http.get(path)
      answer = http.get(URI(answer["location"]).request_uri) if answer.is_a?(Net::HTTPRedirection)
      return if answer.is_a?(Net::HTTPOK) && answer.body.bytesize == @size

      raise "#{answer.code} with #{answer.body&.bytesize} bytes"
    end

    def now = Process.clock_gettime(Process::CLOCK_MONOTONIC)
  end
end
