# frozen_string_literal: true

require "stringio"
require_relative "check"

module EncryptedS3Service
  class Doctor
    # Checks one permission by using it. A subclass has `PERMISSION`, `NEEDED_FOR` and `attempt`.
    # @api private
    class PermissionCheck < Check
      # @return [Finding]
      def call
        attempt
        ok permission, "allowed"
      rescue AccessError => e
        failed permission, "refused (#{answer_in(e)}), but needed for #{self.class::NEEDED_FOR}. Allow it in the " \
                           "policy of these credentials, on #{resource}"
      rescue ArchivedError
        failed permission, "new objects are archived and cannot be read. Set another `upload.storage_class`, or " \
                           "change the bucket's lifecycle rules"
      rescue NotFoundError
        skipped permission, "needs an object, but none could be stored"
      rescue Error => e
        failed permission, reason(e)
      end

      private

      def permission = self.class::PERMISSION

      def resource = "the objects of #{service.configuration.bucket}"

      # The object for all permission checks.
      def key = service.probe("permissions")
    end

    # Checks that files can be stored.
    # @api private
    class PutCheck < PermissionCheck
      PERMISSION = "s3:PutObject"
      NEEDED_FOR = "uploads"

      private

      def attempt = service.client.upload(key, StringIO.new("permissions"))
    end

    # Checks that files can be read.
    # @api private
    class GetCheck < PermissionCheck
      PERMISSION = "s3:GetObject"
      NEEDED_FOR = "downloads"

      private

      def attempt = service.client.download(key)
    end

    # Checks that the bucket can be listed.
    # @api private
    class ListCheck < PermissionCheck
      PERMISSION = "s3:ListBucket"
      NEEDED_FOR = "purging images with variants"

      private

      # The folder is empty, so this only lists it.
      def attempt = service.client.delete_prefixed("#{service.folder}/none/")

      def resource = "the bucket #{service.configuration.bucket} itself"
    end

    # Checks that files can be deleted.
    # @api private
    class DeleteCheck < PermissionCheck
      PERMISSION = "s3:DeleteObject"
      NEEDED_FOR = "purging files"

      private

      def attempt = service.client.delete(key)
    end
  end
end
