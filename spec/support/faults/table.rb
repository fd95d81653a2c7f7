# frozen_string_literal: true

require_relative "fault"

module Faults
  # The page docs/faults.md: written from the results of all trials. A short run compares its results with the page.
  class Table
    PATH = File.expand_path("../../../docs/faults.md", __dir__)
    # The text in the table for an outcome.
    MARKS = { "done" => "✓", "TransportError" => "T", "AccessError" => "A", "StoreError" => "S", "ChangedError" => "C",
              "TamperedError" => "I", "TruncatedError" => "I", "IntegrityError" => "I", "EnvelopeError" => "E",
              "UnwrapError" => "E" }.freeze
    WAYS = { false => "The fault happens once", true => "The fault happens every time" }.freeze
    private_constant :WAYS

    # @param results [Array<Trial::Result>] of all trials
    # @param operations [Array<Operation>] in the order of the page
    # @return [String] the page
    def self.page(results, operations) = new(results, operations).page

    # @param result [Trial::Result]
    # @param page [String]
    # @return [Boolean] whether the page lists this outcome
    def self.says?(page, result)
      part = page.split("## ").find { |section| section.start_with?(WAYS.fetch(result.always)) }
      row = part.to_s.lines.find { |line| line.start_with?("| #{result.operation} |") }
      cell = row.to_s.split("|").map(&:strip)[2 + ALL.index(result.fault)].to_s
      result.outcome == "done" || cell.include?(MARKS.fetch(result.outcome))
    end

    def initialize(results, operations)
      @results = results
      @operations = operations
    end

    # @return [String]
    def page
      parts = WAYS.map { |always, title| "## #{title}\n\n#{matrix(always)}" }
      [introduction, legend, *parts, "## Unfinished uploads\n\n#{residue}"].join("\n")
    end

    private

    def introduction
      calls = @results.map { |result| [result.operation, result.call.to_s] }.uniq.size
      <<~MARKDOWN
        # Faults

        <!-- Written by `rake faults`. The specs compare it with their results. -->

        Each operation of this gem was run against a real S3 server behind a proxy that injects faults. The proxy records
        the S3 calls of the operation. Then the operation is repeated with each fault at each of these calls, once and every
        time. Of similar calls (parts, ranges) only the first and the last are used. That is #{@operations.size} operations, #{calls} calls, #{ALL.size} faults and #{@results.size} runs.

        After each run:

        - The operation succeeded, or raised the error that is documented for the fault. The message names the object,
          and shows no key and no signature.
        - The bucket is as it was before, or as it is after a success. There is no part of a file, and no stored part of an
          upload. An older object under the key is untouched.
        - Every returned byte belongs to the beginning of the file.
        - The operation ended within #{@results.map(&:seconds).max.ceil} seconds with an `http_read_timeout` of 3 to 8 seconds and `retry_limit: 2`.
        - No connection, thread, file descriptor or temporary file is left.

      MARKDOWN
    end

    def legend
      rows = ALL.each_with_index.map { |fault, index| "| #{index + 1} | #{fault} | #{promise(fault)} |" }
      <<~MARKDOWN
        | | fault | an operation that meets it |
        |---|---|---|
        #{rows.join("\n")}

        ✓ stands for success, T for `TransportError`, A for `AccessError`, S for `StoreError`, C for `ChangedError`, I for
        `IntegrityError` and its subclasses, E for `EnvelopeError` or `UnwrapError`. The numbers are runs. In an empty
        field the fault cannot happen.

      MARKDOWN
    end

    def promise(fault)
      return "succeeds" if fault.passes

      errors = fault.errors.filter_map { |error| MARKS[error] }.uniq.join(", ")
      fault.passes.nil? ? "succeeds after a retry if it happens once, else #{errors}" : "succeeds, or #{errors}"
    end

    def matrix(always)
      rows = @operations.map do |operation|
        results = @results.select { |result| result.operation == operation && result.always == always }
        cells = ALL.map { |fault| cell(results.select { |result| result.fault == fault }) }
        "| #{[operation, *cells].join(" | ")} |"
      end
      "| |#{(1..ALL.size).map { |number| " #{number} |" }.join}\n|#{"---|" * (ALL.size + 1)}\n#{rows.join("\n")}\n"
    end

    def cell(results)
      counts = results.map { |result| MARKS.fetch(result.outcome) }.tally
      MARKS.values.uniq.filter_map { |mark| "#{mark} #{counts[mark]}" if counts[mark] }.join(" ")
    end

    def residue
      left = @results.select { |result| result.residue.positive? }
      where = left.map { |result| "#{result.fault} at #{result.call.name}" }.tally
      <<~MARKDOWN
        When the answer to CreateMultipartUpload is lost, or the abort request fails, an unfinished upload stays in the
        store. The lifecycle rule for incomplete multipart uploads removes it, see
        [operations](operations.md#permissions). This happened in #{left.size} runs:

        #{where.sort.map { |what, number| "- #{what}: #{number}" }.join("\n")}
      MARKDOWN
    end
  end
end
