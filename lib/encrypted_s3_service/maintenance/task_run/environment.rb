# frozen_string_literal: true

require_relative "../../errors"
require_relative "chosen_blobs"
require_relative "failures"
require_relative "workers"

module EncryptedS3Service
  # Shared parts of the tasks that process all files.
  # @api private
  module TaskRun
    # The arguments of a task, given as `NAME=value`.
    class Environment
      # @param variables [Hash{String => String}]
      def initialize(variables)
        @variables = variables
      end

      # @param name [String]
      # @return [String, nil] nil when it is missing or empty
      def text(name) = @variables[name].presence

      # An argument that chooses files. If a variable of a script is not set, it must not choose all of them.
      # @param name [String]
      # @return [String, nil] nil when it is missing
      # @raise [ConfigurationError] when it is empty
      def choice(name)
        return text(name) unless @variables[name] && text(name).nil?

        raise ConfigurationError, "#{name} is empty. Leave it out to process all files."
      end

      # Other values are refused, because a typing error must not disable a dry run.
      # @param name [String]
      # @return [Boolean]
      # @raise [ConfigurationError]
      def switch(name)
        case @variables[name].to_s
        when "true", "1" then true
        when "", "false", "0" then false
        else raise ConfigurationError, "#{name} must be true or false."
        end
      end

      # @param name [String]
      # @param numbers [Range<Integer>] the allowed numbers
      # @param default [Integer, nil]
      # @return [Integer, nil]
      # @raise [ConfigurationError]
      def number(name, numbers, default = nil)
        text = text(name) or return default
        # Base 10, so that "08" is 8.
        number = Integer(text, 10, exception: false)
        return number if number && numbers.cover?(number)

        limits = numbers.end ? "from #{numbers.begin} to #{numbers.end}" : "of at least #{numbers.begin}"
        raise ConfigurationError, "#{name} must be a number #{limits}."
      end

      # @param default [Integer]
      # @return [Integer] number of files processed at once; 1 by default where threads cannot share a database
      # @raise [ConfigurationError]
      def concurrency(default) = number("CONCURRENCY", Workers::SIZES, sqlite_blocks_threads? ? 1 : default)

      # @param name [String]
      # @return [Float, nil] objects per second
      # @raise [ConfigurationError]
      def rate(name)
        return unless text(name)

        number = Float(text(name), exception: false) || 0
        return number if number.positive? && number.finite?

        raise ConfigurationError, "#{name} must be a number above 0: the maximum number of objects per second."
      end

      # @param blobs [ActiveRecord::Relation] of ActiveStorage::Blob
      # @return [ChosenBlobs] those listed in the file `RETRY`, or all without it
      # @raise [ConfigurationError]
      def retried(blobs)
        path = choice("RETRY") or return ChosenBlobs.of(blobs)

        # Read first, because FAILURES may name the same file.
        ChosenBlobs.new(blobs, Failures.ids_in(path))
      end

      private

      # Until Rails 8 a thread that waits for SQLite keeps the GVL, so that the thread with the database cannot release
      # it. Files would fail after the `timeout` of config/database.yml.
      def sqlite_blocks_threads?
        ActiveRecord.version < Gem::Version.new("8.0") &&
          ActiveStorage::Blob.connection_db_config.adapter.to_s.start_with?("sqlite")
      end
    end
  end
end
