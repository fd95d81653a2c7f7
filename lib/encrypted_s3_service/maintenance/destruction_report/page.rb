# frozen_string_literal: true

require "erb"

module EncryptedS3Service
  class DestructionReport
    # The report as an HTML page for people. It loads no resources and runs no scripts.
    # @api private
    class Page
      TEMPLATE = File.read(File.expand_path("page.html.erb", __dir__))
      private_constant :TEMPLATE

      # @param report [Hash{Symbol => Object}]
      # @param digest [String] SHA-256 of the JSON, in hexadecimal digits
      def initialize(report, digest)
        @report = report
        @digest = digest
      end

      # @return [String] HTML
      def to_s = ERB.new(TEMPLATE, trim_mode: "-").result(binding)

      private

      def h(value) = ERB::Util.html_escape(value.to_s)

      def verdict
        return "Every file was tried and could not be opened." if @report[:verdict] == "unreadable"

        "NOT PROVEN: some files were opened, are for recovery keys, or could not be tried."
      end

      def tries(file) = file[:tries].map { |try| "#{try[:with]}: #{try[:error] || try[:message]}" }.join("; ")

      # @return [String] the number of older versions with each result
      def older(file)
        file.fetch(:older_versions, []).pluck(:result).tally.map { |result, count| "#{count} #{result}" }.join(", ")
      end
    end
  end
end
