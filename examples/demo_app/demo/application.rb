# frozen_string_literal: true

require "puma"
require "puma/server"
require "puma/log_writer"
require "socket"
require_relative "workplace"

module Demo
  # The Rails application, running in this process and served by Puma.
  class Application
    # Only reachable from this machine, because everybody who can reach it may read every file.
    HOST = "127.0.0.1"
    # The port with --serve, unless it is taken.
    PORT = 3000

    # @return [String]
    attr_reader :url

    # @param workplace [Workplace]
    # @param serve [Boolean] whether to prefer the usual port
    # @return [Application]
    # @raise [Workplace::Error] if the port in PORT is invalid or taken
    def self.boot(workplace, serve:)
      ENV.update(workplace.environment)
      require_relative "../config/environment"
      ActiveRecord::Schema.verbose = false
      load Rails.root.join("db/schema.rb").to_s
      Rails.application.load_seed
      new(serve ? [PORT, 0] : [0])
    end

    # @param ports [Array<Integer>] ports to try, unless PORT is set
    def initialize(ports)
      @puma = Puma::Server.new(Rails.application, Puma::Events.new, min_threads: 1, max_threads: 5,
                                                                    log_writer: Puma::LogWriter.null)
      wanted = ENV["PORT"].to_s
      listen(wanted.empty? ? ports : [port_number(wanted)])
      @url = "http://#{HOST}:#{@puma.connected_ports.first}"
      @puma.run
    end

    # @return [void]
    def stop = @puma.stop(true)

    private

    def port_number(text)
      number = Integer(text, 10, exception: false)
      return number if number&.between?(0, 65_535)

      raise Workplace::Error, "PORT must be a port number from 0 to 65535, not #{text.inspect}"
    end

    def listen(ports)
      port, *others = ports
      @puma.add_tcp_listener(HOST, port)
    rescue Errno::EADDRINUSE, Errno::EACCES => e
      raise Workplace::Error, "Port #{port} cannot be used (#{e.message}); set PORT to another port." if others.empty?

      listen(others)
    end
  end
end
