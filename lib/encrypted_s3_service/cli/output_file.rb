# frozen_string_literal: true

require "securerandom"

module EncryptedS3Service
  class CLI
    # A file that appears whole or not at all.
    # @api private
    module OutputFile
      module_function

      # @param path [String]
      # @param force [Boolean] whether to replace an existing file
      # @yieldparam file [File] a temporary file beside it
      # @return [void]
      # @raise [FileError] when the file exists, or is not an ordinary file
      def write(path, force:)
        refuse_existing(path, force)
        # The name of the file is not part of it, because that may already have the maximum length.
        partial = File.join(File.dirname(path), ".encrypted_s3_service.#{SecureRandom.hex(6)}.part")
        # Until the file is complete, only its owner can read it.
        File.open(partial, File::RDWR | File::CREAT | File::EXCL, 0o600) do |file|
          # File::BINARY would not prevent a conversion to Encoding.default_internal.
          file.binmode
          yield file
          file.chmod(0o666 & ~File.umask)
          file.fsync
        end
        put_in_place(partial, path, force)
      ensure
        File.unlink(partial) if partial && File.exist?(partial)
      end

      # @param path [String]
      # @param force [Boolean]
      # @return [void]
      # @raise [FileError]
      def refuse_existing(path, force)
        refuse_special(path)
        return if force || !(File.exist?(path) || File.symlink?(path))

        raise FileError, "#{path} already exists; --force overwrites it"
      end

      # Replacing a device or a pipe by a file would damage the system: `-o /dev/null --force`, as root.
      def refuse_special(path)
        raise FileError, "the name of the file to write is empty" if path.empty?

        folder = File.dirname(path)
        raise FileError, "#{path} cannot be written: there is no folder #{folder}" unless File.directory?(folder)
        return if !File.exist?(path) || File.file?(path)

        raise FileError, "#{path} is not an ordinary file. Without --output, or with -, the standard output is used"
      end
      private_class_method :refuse_special

      # A rename would replace a file that was created there meanwhile; a link does not.
      def put_in_place(partial, path, force)
        return File.rename(partial, path) if force

        File.link(partial, path)
      rescue Errno::EEXIST
        refuse_existing(path, false)
      rescue Errno::EPERM, Errno::EOPNOTSUPP, NotImplementedError
        # The file system has no hard links.
        File.rename(partial, path)
      end
      private_class_method :put_in_place
    end
  end
end
