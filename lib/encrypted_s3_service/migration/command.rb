# frozen_string_literal: true

require_relative "../migration"
require_relative "selection"

module EncryptedS3Service
  class Migration
    # The task `encrypted_s3_service:migrate`.
    # @api private
    class Command
      # @param environment [Hash{String => String}]
      # @param output [IO]
      def initialize(environment, output: $stdout)
        @environment = environment
        @output = output
      end

      # @return [Boolean] whether nothing failed
      # @raise [ConfigurationError] when what it is told makes no sense
      def run
        result = migration.run
        failures = result.failures
        return true if failures.empty?

        @output.puts("#{failures.size} files failed and are where they were:")
        failures.each { |failure| @output.puts("  #{failure}") }
        @output.puts("Run it again when the cause is gone.")
        false
      end

      private

      def migration
        blobs = Selection.blobs(scope: @environment["SCOPE"], attachment: @environment["ATTACHMENT"])
        Migration.new(from: needed("FROM"), to: needed("TO"), blobs: blobs, delete: switch("DELETE"),
                      dry_run: switch("DRY_RUN"), concurrency: concurrency, output: @output)
      end

      def needed(name)
        @environment[name].presence or
          raise ConfigurationError, "#{name} is missing: the name of a service. For example: " \
                                    "bin/rails encrypted_s3_service:migrate FROM=amazon TO=encrypted_amazon"
      end

      # A misspelt "yes" must not make a dry run a wet one.
      def switch(name)
        case @environment[name].to_s
        when "true", "1" then true
        when "", "false", "0" then false
        else raise ConfigurationError, "#{name} must be true or false"
        end
      end

      def concurrency
        Integer(@environment["CONCURRENCY"].presence || CONCURRENCY, exception: false) ||
          raise(ConfigurationError, "CONCURRENCY must be a number from 1 to 64")
      end
    end
  end
end
