# frozen_string_literal: true

require_relative "../errors"

module EncryptedS3Service
  # A key in a configuration, given as a value or as the path of a file.
  # @api private
  module KeySource
    # The prefix of the path of a file.
    PREFIX = "file:"
    # Maximum bytes of a key's file; the largest key has about 3,500.
    MAXIMUM_SIZE = 64 * 1024
    private_constant :MAXIMUM_SIZE

    module_function

    # @param value [Object] `file:` and a path, a Pathname, or the key itself
    # @param setting [String] the name of the setting, for messages
    # @return [Object] the contents of the file without a line break at the end, or the value as it is
    # @raise [ConfigurationError] when the file cannot be read
    def resolve(value, setting)
      path = path_of(value) or return value

      text = File.binread(path, MAXIMUM_SIZE + 1) || ""
      raise ConfigurationError, "#{setting}: the file #{path} is too large for a key" if text.bytesize > MAXIMUM_SIZE

      # The last byte of a raw key of 32 bytes may be a line break.
      text.bytesize == EncryptionKey::SIZE ? text : text.chomp
    rescue SystemCallError => e
      raise ConfigurationError, "#{setting}: the file #{path} cannot be read: #{e.class.name.delete_prefix("Errno::")}"
    rescue ArgumentError
      raise ConfigurationError, "#{setting}: the path of the file contains a NUL character"
    end

    # @param value [Object]
    # @return [Boolean] whether it names a missing file
    def missing?(value)
      path = path_of(value)
      !path.nil? && !File.exist?(path)
    end

    # @param value [Object]
    # @return [String, nil]
    def path_of(value)
      return value.to_path if value.respond_to?(:to_path)

      value.delete_prefix(PREFIX) if value.is_a?(String) && value.b.start_with?(PREFIX)
    end
  end
end
