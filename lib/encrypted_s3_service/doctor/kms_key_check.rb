# frozen_string_literal: true

require_relative "../keys/kms_key"
require_relative "../native"
require_relative "check"

module EncryptedS3Service
  class Doctor
    # Checks the keys in AWS KMS: requests a data key under the writing key, has it decrypted and compares the two.
    # @api private
    class KmsKeyCheck < Check
      SUBJECT = "key"
      READING = "reading keys"
      private_constant :SUBJECT, :READING

      # @return [Array<Finding>]
      def call
        configuration = service.configuration(retry_limit: 1)
        @native = Native::Client.new(configuration.to_native)
        writing, *reading = configuration.keys.grep(KmsKey).select(&:id)
        findings = [judge(writing)]
        # The other checks use a temporary key.
        service.continue_with(**ExaminedService.temporary_key) if findings.first.failed?
        findings + reading.filter_map { |key| judge_reading(key) }
      end

      private

      def judge(key)
        described = describe(key)
        problem = problem_of(described)
        return failed(SUBJECT, "#{key.id} in AWS KMS #{problem}") if problem

        milliseconds, same = timed { @native.try_writing_key }
        return failed(SUBJECT, "AWS KMS does not decrypt its own data keys. Check kms_endpoint") unless same

        ok SUBJECT, "in AWS KMS: #{described ? described[:arn] : key.id} generated and decrypted a data key in " \
                    "#{milliseconds} ms. Each file costs one request when it is written and one when it is " \
                    "read. Data keys are not cached, so files cannot be used while KMS is unavailable"
      rescue Error => e
        failed SUBJECT, "#{key.id} in AWS KMS cannot be used: #{e.message}"
      end

      def judge_reading(key)
        problem = problem_of(describe(key)) or return
        warning READING, "#{key.id} in AWS KMS #{problem}. Files under it cannot be read"
      rescue Error => e
        warning READING, "#{key.id} in AWS KMS cannot be used: #{e.message}"
      end

      # @return [Hash{Symbol => Object}, nil] nil when the credentials lack the permission
      def describe(key)
        @native.kms_key(key.id)
      rescue AccessError
        nil
      end

      def problem_of(described)
        return if described.nil?
        return "is #{described[:state]}: it cannot be used" unless described[:state] == "Enabled"

        "is not a symmetric key for encryption, so it cannot generate data keys" unless described[:usable]
      end

      def timed
        began = Process.clock_gettime(Process::CLOCK_MONOTONIC, :float_millisecond)
        result = yield
        [(Process.clock_gettime(Process::CLOCK_MONOTONIC, :float_millisecond) - began).round, result]
      end
    end
  end
end
