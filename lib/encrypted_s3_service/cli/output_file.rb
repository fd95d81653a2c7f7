# frozen_string_literal: true

require "fileutils"
require "securerandom"
require_relative "input_file"

module EncryptedS3Service
  class CLI
    # Files that appear whole or not at all.
    # @api private
    module OutputFile
      module_function

      # @param path [String]
      # @param force [Boolean] whether to replace an existing file; the new one has its permissions
      # @yieldparam file [File] a temporary file beside it
      # @return [void]
      # @raise [FileError] when the file exists, is not an ordinary file, or cannot be written
      def write(path, force:, &writer) = write_together({ path => writer }, force: force)

      # Writes files of which each needs the others: none appears before all are complete.
      #
      # @param writers [Hash{String => Proc}] by path; each gets its temporary file. They are called in this order, and
      #   the files appear in the opposite one
      # @param force (see .write)
      # @return [void]
      # @raise (see .write)
      def write_together(writers, force:)
        writers.each_key { |path| refuse_existing(path, force) }
        partials = {}
        writers.each do |path, writer|
          # The name of the file is not part of it, because that may already have the maximum length.
          partials[path] = File.join(File.dirname(path), ".encrypted_s3_service.#{SecureRandom.hex(6)}.part")
          writing(path) { fill(path, partials[path], &writer) }
        end
        put_all_in_place(partials, force)
      ensure
        partials&.each_value { |partial| FileUtils.rm_f(partial) }
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
        return if File.file?(path) || !(File.exist?(path) || path.end_with?("/"))

        raise FileError, "#{path} is not an ordinary file. Without --output, or with -, the standard output is used"
      end
      private_class_method :refuse_special

      def fill(path, partial)
        # Until the file is complete, only its owner can read it.
        File.open(partial, File::RDWR | File::CREAT | File::EXCL, 0o600) do |file|
          # File::BINARY would not prevent a conversion to Encoding.default_internal.
          file.binmode
          yield file
          file.chmod(permissions(path))
          file.fsync
        end
      end
      private_class_method :fill

      def writing(path)
        yield
      rescue SystemCallError => e
        raise FileError, "#{path} cannot be written: #{InputFile.reason(e)}"
      end
      private_class_method :writing

      # A file that was readable for few must not become readable for more.
      def permissions(path) = File.file?(path) ? File.stat(path).mode & 0o777 : 0o666 & ~File.umask
      private_class_method :permissions

      def put_all_in_place(partials, force)
        placed = []
        partials.reverse_each do |path, partial|
          writing(path) { put_in_place(partial, path, force) }
          placed << path
        end
        complete = true
      ensure
        # Without `force` there were no files under these names.
        FileUtils.rm_f(placed) unless complete || force
      end
      private_class_method :put_all_in_place

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
