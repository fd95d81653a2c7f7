# frozen_string_literal: true

require "stringio"
require_relative "check"

module EncryptedS3Service
  class Doctor
    # Checks that the store accepts the checksums that Amazon's SDKs send by default, which some compatible stores
    # refuse.
    # @api private
    class ChecksumCheck < Check
      SUBJECT = "checksums"
      private_constant :SUBJECT

      # @return [Finding]
      def call
        problem = problem_with("when_supported")
        return ok(SUBJECT, "accepted (request_checksum_calculation: when_supported)") unless problem
        return judge(problem) unless problem_with("when_required")

        skipped SUBJECT, "uploads fail with and without them. See s3:PutObject"
      end

      private

      def judge(problem)
        return ok(SUBJECT, "sent only where required, as this store needs it") if set_already?

        # The following checks should not fail for the same reason.
        service.continue_with(request_checksum_calculation: "when_required")
        failed SUBJECT, "refused (#{answer_in(problem)}). Set `request_checksum_calculation: when_required`: uploads " \
                        "work with it"
      end

      def set_already? = service.options[:request_checksum_calculation].to_s == "when_required"

      # @return [Error, nil] the error of the upload; nil when it succeeds
      def problem_with(mode)
        service.client(request_checksum_calculation: mode)
               .upload(service.probe("checksum"), StringIO.new("checksums, #{mode}"))
        nil
      rescue Error => e
        e
      end
    end
  end
end
