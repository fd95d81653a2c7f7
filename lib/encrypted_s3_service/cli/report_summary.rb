# frozen_string_literal: true

require "json"

module EncryptedS3Service
  class CLI
    # What a destruction report says, in a few lines. The signature is to be checked before.
    # @api private
    class ReportSummary
      # @param report [String] JSON, or the page, of which nothing more is said
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
