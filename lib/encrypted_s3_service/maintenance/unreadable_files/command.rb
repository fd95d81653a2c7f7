# frozen_string_literal: true

require_relative "../destruction_report"
require_relative "../task_run/environment"

module EncryptedS3Service
  class UnreadableFiles
    # The task `encrypted_s3_service:unreadable`.
    # @api private
    class Command
      # The variable with the signing key, used if the application's settings have none.
      SIGNING_KEY = "REPORT_SIGNING_KEY"

      # @param variables [Hash{String => String}] `REPORT`, `SERVICE`, `CONCURRENCY` and {SIGNING_KEY}
      # @param output [IO]
      def initialize(variables, output: $stdout)
        @environment = TaskRun::Environment.new(variables)
        @output = output
      end

      # @return [Boolean] false when a report does not prove that the key is destroyed
      # @raise [ConfigurationError]
      def run
        path = @environment.text("REPORT")
        done = path ? report(path) : list
        @output.flush
        done
      end

      private

      def files
        only = @environment.choice("SERVICE")
        UnreadableFiles.new(only ? TaskRun::Rows.blobs.where(service_name: only) : TaskRun::Rows.blobs)
      end

      def list
        lines = files.lines
        lines.each { |line| @output.puts "#{line.service_name}: #{counted(line.count)}, #{line.bytes} bytes" }
        count = lines.sum(&:count)
        @output.puts "#{counted(count)} cannot be read any more.#{" They can be purged." if count.positive?}"
        true
      end

      def report(path)
        DestructionReport.check(path)
        report = DestructionReport.new(files, signature: signature,
                                              concurrency: @environment.concurrency(DestructionReport::CONCURRENCY)).run
        @output.puts(*report.write(path))
        return true if report.proven?

        @output.puts "NOT PROVEN: some files were opened, are for recovery keys, or could not be tried. See the report."
        false
      end

      def signature
        key = EncryptedS3Service.settings.report_signing_key || @environment.text(SIGNING_KEY)
        unless key
          raise ConfigurationError, "A report needs a key: set config.encrypted_s3_service.report_signing_key to an " \
                                    "Ed25519 key in PEM or its file. Make one with: #{ReportSignature::RECIPE}"
        end

        ReportSignature.new(key, passphrase: @environment.text("#{SIGNING_KEY}_PASSPHRASE"))
      end

      def counted(count) = "#{count} #{"file".pluralize(count)}"
    end
  end
end
