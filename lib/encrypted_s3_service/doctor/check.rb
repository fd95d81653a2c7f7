# frozen_string_literal: true

require_relative "../errors"
require_relative "finding"

module EncryptedS3Service
  class Doctor
    # Base class of the checks. A subclass has `call`, which returns one or several {Finding}s.
    # @api private
    class Check
      # @param service [ExaminedService]
      def initialize(service)
        @service = service
      end

      private

      attr_reader :service

      def ok(subject, text) = Finding.new(:ok, subject, text)

      def warning(subject, text) = Finding.new(:warning, subject, text)

      def hint(subject, text) = Finding.new(:hint, subject, text)

      def skipped(subject, text) = Finding.new(:skipped, subject, text)

      def failed(subject, text) = Finding.new(:failed, subject, text)

      # @param subject [String]
      # @param error [AccessError]
      # @return [Finding] for a check that needs more permissions than the entry has
      def forbidden(subject, error) = skipped(subject, "not allowed (#{answer_in(error)}). See the permissions")

      # @param error [Error]
      # @return [String] HTTP status and S3 code of the store's response
      def answer_in(error)
        answer = [error.status, error.store_code].compact.join(" ").strip
        answer.empty? ? "no response" : answer
      end

      # @param error [Error]
      # @return [String] why the request failed, without the names of request and object
      def reason(error) = error.cause&.message || error.message
    end
  end
end
