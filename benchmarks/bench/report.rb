# frozen_string_literal: true

require_relative "aims"
require_relative "chart"
require_relative "format"
require_relative "machine"
require_relative "../contenders"

module Bench
  # The results as Markdown.
  class Report
    SERVERS = {
      "memory" => "Server in memory (benchmarks/memory_server)",
      "line" => "The same behind a line: 30 ms before each answer; 20 MB/s up and 90 MB/s down for each connection",
      "rails" => "In a Rails application with Puma, server in memory",
      "seaweedfs" => "SeaweedFS"
    }.freeze

    HEAD = <<~MARKDOWN
      # Benchmarks

      **This gem** beside **the reference**, an Active Storage service over `Aws::S3::EncryptionV2::Client` as one writes
      it by hand (it is what Amazon's SDK for Ruby offers), and beside **plain**, Rails' own `S3Service` without
      encryption. Each runs in processes of its own, on the same machine and against the same server, in turns; figures
      are medians. In the columns ÷ they are divided: below 1.00 this gem is better.

      - *time*: per operation; with several threads, the time of all divided by the operations of all
      - *CPU*: computed by the client's process per operation, all its threads together
      - *requests*, *moved*: requests of an operation, and their bytes in both directions with all heads, as the server
        counts them
      - *first time*: each operation in a process that has read nothing of the object; *Amazon's object*: the reference
        wrote it, so that there is no stored segment map
      - *memory*: how far the resident set of the process grew at most
      - *stall*: the longest time that another Ruby thread, which wants to run every millisecond, had to wait

      The server runs on the same cores and is the slower side with large files, SeaweedFS above all: what the client
      saves in CPU may not show in the time. No TLS, over which this gem and the plain service do not compute the
      SHA-256 of what they send. The line's figures are those with which Amazon's transfer manager for Rust reckons. In
      Rails, one process with 5 threads answers 4 clients at once, and time and CPU are those of the process that
      answers; the plain service answers by Rails' proxy in both rows of links, because its other links lead to S3.
      Run it with `bin/bench`.

    MARKDOWN
    private_constant :SERVERS, :HEAD

    # @param all [Array<Results>] the results of each server
    def initialize(all)
      @all = all
    end

    # @return [String]
    def to_markdown
      HEAD + table([["Machine", ""], *Machine.facts]) + @all.map { |results| section(results) }.join
    end

    # @return [String] the same as a chart
    def to_svg = Chart.new(@all, SERVERS).to_svg

    private

    def section(results)
      "\n## #{SERVERS.fetch(results.server)}\n\n#{ratios(results)}\nThe medians themselves, in the order " \
        "this gem / reference / plain:\n\n#{medians(results)}\nAims:\n\n#{list(results)}"
    end

    def ratios(results)
      head = ["", "time", "÷ reference", "÷ plain", "CPU", "÷ reference", "÷ plain", "memory", "stall", "requests",
              "moved"]
      works = results.works.select { |work| work.contenders.include?("gem") }
      table([head, *works.map { |work| [work.title, *compared(results, work), *absolute(results, work)] }])
    end

    def compared(results, work)
      %i[wall cpu].flat_map do |name|
        [Format.quantity(name, results.value(work, "gem", name)),
         *%w[reference plain].map { |other| Format.ratio(results.ratio(work, other, name)) }]
      end
    end

    def absolute(results, work)
      %i[growth stall requests moved].map { |name| Format.quantity(name, results.value(work, "gem", name)) }
    end

    def medians(results)
      table([["", "time", "CPU", "memory", "stall", "requests", "moved"], *results.works.map do |work|
        [work.title, *Results::QUANTITIES.map { |name| all_of(results, work, name) }]
      end])
    end

    def all_of(results, work, name)
      Contenders::ALL.keys.map { |contender| Format.quantity(name, results.value(work, contender, name)) }.join(" / ")
    end

    def list(results)
      Aims.new(results).verdicts.map do |verdict|
        misses = verdict.misses.map { |work, value| "#{work.title} #{value}" }.join("; ")
        "- #{misses.empty? ? "met" : "missed"}: #{verdict.text}#{" (#{misses})" unless misses.empty?}\n"
      end.join
    end

    # The first row is the head. All columns except the first contain numbers.
    def table(rows)
      head, *body = rows
      numbers = head.size > 2 ? "--:" : "---"
      rule = ["---", *Array.new(head.size - 1, numbers)]
      [head, rule, *body].map { |row| "| #{row.join(" | ")} |\n" }.join
    end
  end
end
