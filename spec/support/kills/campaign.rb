# frozen_string_literal: true

require_relative "witness"
require_relative "workload"

module Kills
  # Kills processes during one kind of work, and compares bucket and database after each kill.
  class Campaign
    # Kills in a round. After them the work is completed.
    ROUND = 6
    # Bounds in seconds of the longest time until a kill. It is adapted to the time that the work takes.
    LATEST = 0.05..1.5
    private_constant :LATEST

    # The results: `kills`, `finished` (processes that ended before the kill), `unfinished` (multipart uploads left),
    # `probes` (see {Witness#probes}) and `problems`.
    Report = Struct.new(:name, :kills, :finished, :unfinished, :probes, :problems)

    # @param workload [Workload]
    # @param kills [Integer]
    def initialize(workload, kills)
      @workload = workload
      @kills = kills
      @witness = Witness.new(Workload::BUCKET)
      @report = Report.new(workload.name, 0, 0, 0, 0, [])
      @latest = LATEST.end / 2
    end

    # @return [Report]
    def run
      round until @report.kills >= @kills || @report.problems.any?
      @report
    end

    private

    def round
      @workload.prepare
      @reported = []
      left = ROUND
      left -= 1 while left.positive? && @report.kills < @kills && kill_one
      note(@workload.finish, @witness.problems(needed: @workload.needed(@reported)))
      @report.unfinished += @witness.unfinished
      @report.probes += @witness.probes
      @witness.clear
    end

    # @return [Boolean] false if the work ended before the kill
    def kill_one
      reader, writer = IO.pipe
      pid = start(writer)
      writer.close
      reader.gets
      sleep rand(0.0..@latest)
      killed = kill(pid)
      listen(reader)
      note(@witness.problems(needed: @workload.needed(@reported), stray: @workload.objects_before_rows?))
      adapt(killed)
      killed
    end

    def listen(reader)
      lines = reader.read.lines(chomp: true)
      reader.close
      @reported.concat(lines.filter_map { |line| line[/\Adone (\w+)\z/, 1] })
      note(lines.grep(/\Afailed/))
    end

    def note(*problems) = @report.problems.concat(problems.flatten)

    def adapt(killed)
      killed ? @report.kills += 1 : @report.finished += 1
      @latest = (@latest * (killed ? 1.15 : 0.7)).clamp(LATEST)
    end

    def start(writer)
      fork do
        writer.sync = true
        writer.puts("begun")
        @workload.run(writer)
      rescue StandardError => e
        writer.puts("failed #{e.full_message(highlight: false).lines.first(5).join.tr("\n", " ")}")
      ensure
        exit!(0)
      end
    end

    # @return [Boolean] whether it was still running
    def kill(pid)
      Process.kill(:KILL, pid)
      Process.wait2(pid).last.signaled?
    end
  end
end
