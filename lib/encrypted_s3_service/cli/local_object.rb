# frozen_string_literal: true

require "json"
require_relative "input_file"
require_relative "metadata_file"
require_relative "output_file"

module EncryptedS3Service
  class CLI
    # An object in a local file, with its metadata in another.
    # @api private
    class LocalObject
      # @param path [String]
      # @param configuration [Configuration]
      # @param metadata [String, nil] path
      # @param instruction_file [String, nil] path
      # @param object_key [String, nil] the object's key in its bucket, which it may be bound to
      # @param recovery_key [String, nil] DER of a private recovery key used instead of the configured keys
      def initialize(path, configuration, metadata: nil, instruction_file: nil, object_key: nil, recovery_key: nil)
        @path = path
        # The core accepts only UTF-8. It uses a path only in messages.
        @name = object_key || path.dup.force_encoding(Encoding::UTF_8).scrub("?")
        @configuration = configuration
        @recovery_key = recovery_key
        @metadata_path = metadata || "#{path}.metadata.json"
        @instruction_file = instruction_file
      end

      # @return [Array(Integer, Hash{String => String})] the body's size, and the entries
      # @raise [FileError]
      def metadata
        entries = read_metadata
        entries = { **entries, **MetadataFile.read(@instruction_file) } if @instruction_file
        [InputFile.size(@path), entries]
      end

      # @return [nil] files have no segment maps
      def indexed? = nil

      # @return [nil]
      def mapped = nil

      # @yieldparam chunk [String] authenticated
      # @return [void]
      # @raise [Error]
      def read
        entries = read_metadata
        instructions = InputFile.read(@instruction_file) if @instruction_file
        InputFile.open(@path) do |file|
          handle = Native::Local.open(native_settings, @name, file.fileno, entries, instructions)
          while (chunk = handle.read)
            yield chunk
          end
        ensure
          handle&.close
        end
      end

      # @param file [File]
      # @param force [Boolean]
      # @return [void]
      # @raise [Error]
      def write(file, force:, **)
        entries = nil
        body = lambda do |target|
          _bytes, entries = Native::Local.seal(@configuration.to_native, @name, file.fileno, target.fileno)
        end
        metadata = ->(json) { json.puts(JSON.pretty_generate(entries.sort.to_h)) }
        # The metadata appear first, because a body needs them.
        OutputFile.write_together({ @path => body, @metadata_path => metadata }, force: force)
      end

      private

      def native_settings
        return @configuration.to_native unless @recovery_key

        @configuration.to_native_without_keys(recovery_key: @recovery_key)
      end

      def read_metadata
        # A legacy or V2 envelope may be entirely in the instruction file.
        return {} if @instruction_file && !File.exist?(@metadata_path)

        MetadataFile.read(@metadata_path)
      end
    end
  end
end
