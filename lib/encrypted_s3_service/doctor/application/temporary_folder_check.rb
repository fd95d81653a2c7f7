# frozen_string_literal: true

require "active_support/core_ext/numeric/bytes"
require "active_support/core_ext/numeric/conversions"
require "open3"
require "tmpdir"
require_relative "../check"

module EncryptedS3Service
  class Doctor
    class Application
      # Checks the free space for temporary files: Rails writes form uploads, and files that are analyzed, previewed or
      # migrated, into the temporary folder.
      # @api private
      class TemporaryFolderCheck < Check
        SUBJECT = "temporary folder"
        # Bytes that should be free.
        ROOM = 2.gigabytes
        private_constant :SUBJECT, :ROOM

        # @param folder [String]
        # @param free [Integer, nil] free bytes; nil for the system's value
        def initialize(folder = Dir.tmpdir, free: nil)
          super(nil)
          @folder = folder
          @free = free
        end

        # @return [Finding]
        def call
          free = @free || free_space
          return skipped(SUBJECT, "#{@folder}: its free space is unknown") unless free
          return ok(SUBJECT, "#{@folder} has #{free.to_fs(:human_size)} free") if free >= ROOM

          warning SUBJECT, "#{@folder} has only #{free.to_fs(:human_size)} free. Form uploads and files that are " \
                           "analyzed, previewed or migrated need space there. Set TMPDIR to a folder with more space"
        end

        private

        # The output format is defined by POSIX; Ruby has no function for free space.
        def free_space
          output, _, status = Open3.capture3("df", "-Pk", @folder)
          kibibytes = output.lines.last.to_s.split[-3]
          Integer(kibibytes, 10) * 1024 if status.success?
        rescue SystemCallError, ArgumentError, TypeError
          nil
        end
      end
    end
  end
end
