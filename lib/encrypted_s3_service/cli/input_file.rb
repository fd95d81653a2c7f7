# frozen_string_literal: true

module EncryptedS3Service
  class CLI
    # Files that the arguments name. The messages of Ruby's own errors also contain names of its functions.
    # @api private
    module InputFile
      module_function

      # @param path [String]
      # @return [String] binary
      # @raise [FileError]
      def read(path) = reading(path) { File.binread(path) }

      # @param path [String]
      # @yieldparam file [File]
      # @return [Object] the result of the block
      # @raise [FileError] when it is a folder, a device or a pipe; opening a pipe could wait for ever
      def open(path)
        size(path)
        file = reading(path) { File.open(path, "rb") }
        yield file
      ensure
        file&.close
      end

      # @param path [String]
      # @return [Integer] bytes
      # @raise [FileError] when it is not an ordinary file
      def size(path)
        stat = reading(path) { File.stat(path) }
        raise FileError, "#{path} is not a file" unless stat.file?

        stat.size
      end

      # @param path [String]
      # @yieldreturn [Object]
      # @return [Object] the result of the block
      # @raise [FileError] instead of the system's errors
      def reading(path)
        yield
      rescue SystemCallError => e
        raise FileError, "#{path} cannot be read: #{reason(e)}"
      end

      # @param error [SystemCallError]
      # @return [String] what the system says, for example "No such file or directory"
      def reason(error) = SystemCallError.new(nil, error.errno).message
    end
  end
end
