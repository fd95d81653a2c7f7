# frozen_string_literal: true

require "stringio"
require_relative "check"

module EncryptedS3Service
  class Doctor
    # Checks that the store accepts requests for response checksums, which some compatible stores refuse.
    # @api private
    class AnswerChecksumCheck < Check
      SUBJECT = "response checksums"
      private_constant :SUBJECT

      # @return [Finding]
      def call
        @key = service.probe("answer-checksum")
        service.client.upload(@key, StringIO.new("checksums of answers"))
        problem = problem_with("when_supported")
        return ok(SUBJECT, "accepted (response_checksum_validation: when_supported)") unless problem
        return judge(problem) unless problem_with("when_required")

        skipped SUBJECT, "downloads fail with and without them. See s3:GetObject"
      rescue Error
        skipped SUBJECT, "needs an object, but none could be stored"
      end

      private

      def judge(problem)
        if service.options[:response_checksum_validation].to_s == "when_required"
          return ok(SUBJECT, "requested only where required, as this store needs it")
        end

        service.continue_with(response_checksum_validation: "when_required")
        failed SUBJECT, "refused (#{answer_in(problem)}). Set `response_checksum_validation: when_required`: " \
                        "downloads work with it"
      end

      # @return [Error, nil] the error of the download; nil when it succeeds
      def problem_with(mode)
        service.client(response_checksum_validation: mode).download(@key)
        nil
      rescue Error => e
        e
      end
    end
  end
end
