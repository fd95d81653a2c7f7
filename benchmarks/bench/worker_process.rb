# frozen_string_literal: true

require "json"
require "rbconfig"

module Bench
  # Controls a worker from the parent process.
  class WorkerProcess
    # Time limit for every answer, in seconds.
    PATIENCE = 300
    WORKER = File.expand_path("../worker.rb", __dir__)
    private_constant :PATIENCE, :WORKER

    # A worker failed or does not answer.
    class Failed < StandardError; end

    # @param name [String] of the contender
    # @param settings [Hash{Symbol => Object}] see Contenders.build
    # @param rails [Boolean] whether it is a Rails application
    def initialize(name, settings, rails: false)
      @name = name
      library = File.expand_path("../../lib", __dir__)
      # Its own process group, because it has children.
      @pipe = IO.popen([RbConfig.ruby, "-I", library, WORKER], "r+", pgroup: true)
      @pipe.sync = true
      tell(name: name, settings: settings, rails: rails)
    end

    # Stores the files for reading.
    # @param task [Hash{Symbol => Object}] the work, and the arguments of Performance
    # @return [void]
    def prepare(task)
      tell(**task, only: "prepare")
      answer
    end

    # Begins a work, and waits until the worker is ready.
    # @param task [Hash{Symbol => Object}] the work, and the arguments of Performance
    # @return [void]
    def begin(task)
      tell(task)
      answer
    end

    # @return [Hash{Symbol => Numeric}] the cost of a round, times per operation
    def round
      @pipe.puts("round")
      cost = answer
      { wall: cost[:wall] / cost[:count], cpu: cost[:cpu] / cost[:count], **cost.slice(:count, :stall, :growth) }
    end

    # Ends the work.
    # @return [void]
    def finish
      @pipe.puts("finish")
      answer
    end

    # Ends the process.
    # @return [void]
    def stop
      Process.kill(:KILL, -@pipe.pid)
    rescue Errno::ESRCH
      nil
    ensure
      @pipe.close
    end

    private

    def tell(message) = @pipe.puts(JSON.generate(message))

    def answer
      raise Failed, "#{@name}: no answer within #{PATIENCE} s" unless @pipe.wait_readable(PATIENCE)

      line = @pipe.gets || raise(Failed, "#{@name} failed, see above")
      JSON.parse(line, symbolize_names: true)
    rescue Errno::EPIPE
      raise Failed, "#{@name} failed, see above"
    end
  end
end
