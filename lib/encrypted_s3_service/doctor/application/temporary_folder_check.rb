# frozen_string_literal: true

require "active_support/core_ext/numeric/bytes"
require "active_support/core_ext/numeric/conversions"
require "open3"
require "tmpdir"
require_relative "../check"

module EncryptedS3Service
  class Doctor
    class Application
      # Whether there is room for what is processed: Rails holds form uploads, and files that are analyzed, previewed or
      # migrated, in temporary files.
      # @api private
      class TemporaryFolderCheck < Check
        SUBJECT = "temporary folder"
        # Bytes that should be free.
        ROOM = 2.gigabytes
        private_constant :SUBJECT, :ROOM

        # @param folder [String]
        # @param free [Integer, nil] bytes; nil asks the system
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

          warning SUBJECT, "#{@folder} has only #{free.to_fs(:human_size)} free. Files that are uploaded by forms, " \
                           "analyzed, previewed or migrated lie there meanwhile. Set TMPDIR to a folder with more room"
        end

        private

        # POSIX has the format; Ruby has no function for it.
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
