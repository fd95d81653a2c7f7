# frozen_string_literal: true

require_relative "../errors"
require_relative "finding"

module EncryptedS3Service
  class Doctor
    # What looks at one thing of a service. A subclass has `call`, which returns a {Finding} or several.
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

      # @return [String] what the store said, of our own error: status and code of S3's answer
      def answer_in(error) = error.message[/the store answered (\d+ ?\w*)/, 1]&.strip

      def refused?(error) = error.is_a?(AccessError)
    end
  end
end
