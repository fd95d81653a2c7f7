# frozen_string_literal: true

require_relative "../../errors"

module EncryptedS3Service
  module TaskRun
    # A failed file: `blob_id`, `object` (String or nil, its place) and `reason` (String or nil, without any part of the
    # file's content or name).
    Failure = Data.define(:blob_id, :object, :reason) do
      # @param blob_id [Object]
      # @param error [Exception]
      # @param object [String, nil]
      # @return [Failure]
      # @api private
      def self.of(blob_id, error, object: nil)
        new(blob_id: blob_id, object: object, reason: Error.describe(error))
      end

      # @api private
      def initialize(blob_id:, object: nil, reason: nil) = super

      # @return [String] one line
      def to_s = [["blob #{blob_id}", object].compact.join(", "), reason].compact.join(": ")
    end

    # Failures of a run: the first thousand of each kind in memory, and all of them in a file if the run has one.
    # @api private
    class Failures
      # Maximum number of failures of each kind in memory.
      KEPT = 1_000

      # @return [String, nil] the path of the file
      attr_reader :path

      # @param path [String, nil] of a file, which is overwritten: one line per failure, which begins with the blob's id
      #   and a tab
      # @raise [ConfigurationError] when the file cannot be written
      def initialize(path = nil)
        @path = path
        @kept = Hash.new { |kinds, kind| kinds[kind] = [] }
        @counts = Hash.new(0)
        # Writes each line immediately.
        @file = File.open(path, "wb", 0o600).tap { |file| file.sync = true } if path
      rescue SystemCallError => e
        raise ConfigurationError, "FAILURES: cannot write the file #{path}: #{e.message}"
      end

      # @param failure [Failure]
      # @param kind [Symbol]
      # @return [void]
      # @raise [FileError] if the file can no longer be written
      def add(failure, kind = :failed)
        @counts[kind] += 1
        @kept[kind] << failure if @kept[kind].size < KEPT
        write("#{failure.blob_id}\t#{kind}\t#{failure.to_s.gsub(/[[:cntrl:]]/, "?")}") if @file
      end

      # @param kinds [Array<Symbol>]
      # @return [Array<Failure>] the first thousand of each
      def of(*kinds) = kinds.flat_map { |kind| @kept.fetch(kind, []) }

      # @param kinds [Array<Symbol>] all kinds if none is given
      # @return [Integer] number of failures
      def count(*kinds) = kinds.empty? ? @counts.values.sum : @counts.values_at(*kinds).sum

      # @return [void]
      def close = @file&.close

      # @param path [String] of a file that a run has written
      # @return [Array<String>] ids of blobs
      # @raise [ConfigurationError] when the file cannot be read
      def self.ids_in(path)
        File.foreach(path, chomp: true).filter_map { |line| line[/\A[^\t]+/] }.uniq
      rescue SystemCallError => e
        raise ConfigurationError, "RETRY: cannot read the file #{path}: #{e.message}"
      rescue ArgumentError
        raise ConfigurationError, "RETRY: #{path} is not a file that FAILURES has written."
      end

      private

      # The run ends, because later failures could not be recorded. It can be repeated at any time.
      def write(line)
        @file.write("#{line}\n")
      rescue SystemCallError => e
        raise FileError, "FAILURES: cannot write the file: #{e.message}. The run stopped at: #{line.tr("\t", " ")}"
      end
    end
  end
end
