# frozen_string_literal: true

require_relative "../migration"
require_relative "../task_run/environment"
require_relative "selection"

module EncryptedS3Service
  class Migration
    # The task `encrypted_s3_service:migrate`.
    # @api private
    class Command
      # @param environment [Hash{String => String}]
      # @param output [IO]
      def initialize(environment, output: $stdout)
        @environment = TaskRun::Environment.new(environment)
        @output = output
      end

      # @return [Boolean] whether nothing failed
      # @raise [ConfigurationError] when what it is told makes no sense
      def run
        result = migration.run
        mention(result.unfinished)
        failures = result.failures
        return true if failures.empty?

        @output.puts("#{failures.size} files failed and are where they were:")
        failures.each { |failure| @output.puts("  #{failure}") }
        @output.puts("Run it again when the cause is gone.")
        false
      end

      private

      def mention(unfinished)
        return if unfinished.zero?

        @output.puts("#{unfinished} uploads were never finished: they have no file, are attached to nothing, and " \
                     "stay as they are.")
      end

      def migration
        blobs = Selection.blobs(scope: @environment.text("SCOPE"), attachment: @environment.text("ATTACHMENT"))
        Migration.new(from: needed("FROM"), to: needed("TO"), blobs: blobs, delete: @environment.switch("DELETE"),
                      dry_run: @environment.switch("DRY_RUN"),
                      concurrency: @environment.concurrency(CONCURRENCY), output: @output)
      end

      def needed(name)
        @environment.text(name) or
          raise ConfigurationError, "#{name} is missing: the name of a service. For example: " \
                                    "bin/rails encrypted_s3_service:migrate FROM=amazon TO=encrypted_amazon"
      end
    end
  end
end
