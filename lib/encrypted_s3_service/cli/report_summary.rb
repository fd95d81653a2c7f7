# frozen_string_literal: true

require "json"

module EncryptedS3Service
  class CLI
    # Summarizes a destruction report in a few lines. Check the signature first.
    # @api private
    class ReportSummary
      # @param report [String] JSON, or the HTML page, which is not summarized
      def initialize(report)
        @report = JSON.parse(report)
      rescue JSON::ParserError
        @report = {}
      end

      # @return [Array<String>]
      def lines
        return [] unless @report["report"]

        ["made by #{@report["software"]} from #{@report["began_at"]} to #{@report["ended_at"]}",
         *@report.fetch("services", []).map { |service| line(service) }, "verdict: #{@report["verdict"]}"]
      end

      private

      def line(service)
        results = service["results"].map { |result, count| "#{count} #{result}" }.join(", ")
        "#{service["service"]}: #{service["files"]} files, #{service["bytes"]} bytes: #{results}"
      end
    end
  end
end
