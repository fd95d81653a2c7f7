# frozen_string_literal: true

require "stringio"
require_relative "check"

module EncryptedS3Service
  class Doctor
    # Whether several objects can be deleted at once, as purging an image with its variants does. Stores differ in what
    # they want of such a request, or do not know it.
    # @api private
    class SeveralDeletesCheck < Check
      SUBJECT = "deleting several"
      private_constant :SUBJECT

      # @return [Finding]
      def call
        left = delete(%w[1 2].map { |number| service.probe("several/#{number}") })
        left.empty? ? ok(SUBJECT, "works") : failed(SUBJECT, "the store says that it has deleted objects, and has not")
      rescue AccessError => e
        skipped SUBJECT, "not allowed (#{answer_in(e)}); see the permissions"
      rescue Error => e
        failed SUBJECT, reason(e)
      end

      private

      # @return [Array<String>] the keys of objects that are still there
      def delete(keys)
        client = service.client
        keys.each { |key| client.upload(key, StringIO.new("several")) }
        client.delete_prefixed("#{service.folder}/several/")
        keys.select { |key| client.exist?(key) || !service.gone(key) }
      end
    end
  end
end
