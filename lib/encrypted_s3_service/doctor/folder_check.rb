# frozen_string_literal: true

require "stringio"
require_relative "check"

module EncryptedS3Service
  class Doctor
    # Checks the folder of a service with `root`: that files can be stored in it, read and deleted.
    # @api private
    class FolderCheck < Check
      SUBJECT = "folder"
      private_constant :SUBJECT

      # @return [Finding]
      def call
        try
        return ok(SUBJECT, "#{service.root} can be read and written") unless production?

        warning SUBJECT, "#{service.root} is on this machine only. `root` is for development and tests: set `bucket`"
      rescue Error => e
        failed SUBJECT, "#{e.message}. Check `root` and the permissions of the folder"
      end

      private

      def try
        key = service.probe("folder")
        service.client.upload(key, StringIO.new("folder"))
        service.client.download(key)
        service.client.delete(key)
        service.gone(key)
      end

      def production? = defined?(::Rails.env) && ::Rails.env.production?
    end
  end
end
