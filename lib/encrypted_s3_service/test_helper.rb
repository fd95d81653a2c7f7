# frozen_string_literal: true

require "active_storage"

module EncryptedS3Service
  # Assertions for an application's tests: check that a stored file is encrypted. They read it from the bucket instead
  # of comparing only the service's name.
  #
  #   class ContractTest < ActiveSupport::TestCase
  #     include EncryptedS3Service::TestHelper
  #
  #     test "contracts are encrypted" do
  #       assert_encrypted contracts(:signed).pdf, service: :encrypted_amazon
  #     end
  #   end
  #
  # `require "encrypted_s3_service/rspec"` provides the same check as an RSpec matcher.
  module TestHelper
    # Finds out why a file is not encrypted.
    # @api private
    class Verdict
      # @param file [ActiveStorage::Blob, ActiveStorage::Attachment, ActiveStorage::Attached::One,
      #   ActiveStorage::VariantWithRecord]
      # @param service [Symbol, String, nil] name of the expected service; nil for any
      def initialize(file, service: nil)
        @blob = blob_of(file)
        @service = service
      end

      # @return [String, nil] the problem as a sentence; nil when the file is encrypted everywhere it is stored
      def problem
        return "There is no file." unless @blob
        return "#{name} is in the service #{@blob.service_name}, not in #{@service}." if elsewhere?

        plaintext = parts.plaintext.map(&:name)
        return "#{name} is stored in plaintext by the service #{plaintext.join(", ")}." if plaintext.any?

        parts.to_a.filter_map { |part| problem_in(part) }.first
      end

      private

      # A variant or preview has its own attached image, which is another file than the original.
      def blob_of(file)
        return file if file.is_a?(ActiveStorage::Blob) || file.nil?
        return blob_of(file.image) if file.respond_to?(:image) && !file.respond_to?(:service_name)

        file.blob
      end

      def parts = @parts ||= ServiceParts.new(@blob.service)

      def name = "The file #{@blob.filename.to_s.inspect}"

      def elsewhere? = @service && @blob.service_name.to_s != @service.to_s

      # Downloading raises for an object that is not encrypted or was changed.
      def problem_in(part)
        part.download(@blob.key) { break }
        nil
      rescue ActiveStorage::FileNotFoundError
        "#{name} is not in the bucket of the service #{part.name}."
      rescue EnvelopeError, ActiveStorage::IntegrityError => e
        "#{name} is not encrypted or was changed in the bucket of the service #{part.name}: #{e.message}"
      end
    end
    private_constant :Verdict

    # @param file [ActiveStorage::Blob, ActiveStorage::Attachment, ActiveStorage::Attached::One,
    #   ActiveStorage::VariantWithRecord]
    # @param service [Symbol, String, nil] name of the expected service; nil for any that encrypts
    # @param message [String, nil] shown when the assertion fails
    # @return [void]
    # @raise [Minitest::Assertion] unless the file is encrypted everywhere it is stored
    def assert_encrypted(file, message = nil, service: nil)
      problem = TestHelper.problem(file, service: service)
      assert problem.nil?, [message, problem].compact.join("\n")
    end

    # @param file [ActiveStorage::Blob, ActiveStorage::Attachment, ActiveStorage::Attached::One,
    #   ActiveStorage::VariantWithRecord]
    # @param message [String, nil] shown when the assertion fails
    # @return [void]
    # @raise [Minitest::Assertion] when the file is encrypted everywhere it is stored
    def assert_not_encrypted(file, message = nil)
      assert TestHelper.problem(file), message || "The file is encrypted."
    end

    # @param file [ActiveStorage::Blob, ActiveStorage::Attachment, ActiveStorage::Attached::One,
    #   ActiveStorage::VariantWithRecord]
    # @param service [Symbol, String, nil]
    # @return [String, nil] why the file is not encrypted; nil when it is
    # @api private
    def self.problem(file, service: nil) = Verdict.new(file, service: service).problem
  end
end
