# frozen_string_literal: true

require "stringio"
require_relative "check"

module EncryptedS3Service
  class Doctor
    # Checks that several objects can be deleted by one request, as when an image with variants is purged. Some stores
    # require other headers or do not support it.
    # @api private
    class SeveralDeletesCheck < Check
      SUBJECT = "bulk deletion"
      private_constant :SUBJECT

      # @return [Finding]
      def call
        left = delete(%w[1 2].map { |number| service.probe("several/#{number}") })
        left.empty? ? ok(SUBJECT, "works") : failed(SUBJECT, "the store reports deleted objects that still exist")
      rescue AccessError => e
        forbidden(SUBJECT, e)
      rescue Error => e
        failed SUBJECT, reason(e)
      end

      private

      # @return [Array<String>] keys of objects that still exist
      def delete(keys)
        client = service.client
        keys.each { |key| client.upload(key, StringIO.new("several")) }
        client.delete_prefixed("#{service.folder}/several/")
        keys.select { |key| client.exist?(key) || !service.gone(key) }
      end
    end
  end
end
