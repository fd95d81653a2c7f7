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
    # Classes of files, in Active Storage.
    FILES = %i[Blob Attachment Variant VariantWithRecord Preview Attached].freeze
    private_constant :FILES

    # Checks whether a file is stored encrypted, and explains why it is not.
    # @api private
    class Verdict
      # @param file [ActiveStorage::Blob, ActiveStorage::Attachment, ActiveStorage::Attached::One,
      #   ActiveStorage::Variant, ActiveStorage::VariantWithRecord, ActiveStorage::Preview]
      # @param service [Symbol, String, nil] name of the expected service; nil for any
      def initialize(file, service: nil)
        @file = stored(file)
        @service = service
      end

      # @return [String, nil] the problem as a sentence; nil when the file is encrypted everywhere it is stored
      def problem
        return "There is no file." unless @file
        return unsaved if unsaved?
        return "#{name} is in the service #{service.name}, not in #{@service}." if elsewhere?

        plaintext = parts.plaintext.map(&:name)
        return "#{name} is stored in plaintext by the service #{plaintext.join(", ")}." if plaintext.any?

        parts.to_a.filter_map { |part| problem_in(part) }.first
      end

      # @return [String, nil] why there is no stored file; nil when there is one
      def absence
        return "There is no file." unless @file
        return unsaved if unsaved?

        missing_in(service) unless service.exist?(@file.key)
      end

      private

      # A variant or preview is another file than its original: its attached image. A variant without a row
      # (`track_variants = false`) has no attached image.
      def stored(file)
        case file
        when nil, ActiveStorage::Blob, ActiveStorage::Variant then file
        when ActiveStorage::VariantWithRecord, ActiveStorage::Preview then stored(file.image)
        else file.blob
        end
      end

      def service = @file.service

      def parts = @parts ||= ServiceParts.new(service)

      def name = "The file #{@file.filename.to_s.inspect}"

      def elsewhere? = @service && service.name.to_s != @service.to_s

      # Files are stored when their record is saved.
      def unsaved? = @file.is_a?(ActiveStorage::Blob) && @file.new_record?

      def unsaved = "#{name} is not stored yet. Save its record first."

      def missing_in(part) = "#{name} is not in the bucket of the service #{part.name}."

      # Downloading raises for an object that is not encrypted or was changed.
      def problem_in(part)
        part.download(@file.key) { break }
        nil
      rescue ActiveStorage::FileNotFoundError
        missing_in(part)
      rescue EnvelopeError, ActiveStorage::IntegrityError => e
        "#{name} is not encrypted or was changed in the bucket of the service #{part.name}: #{e.message}"
      end
    end
    private_constant :Verdict

    # @param file [ActiveStorage::Blob, ActiveStorage::Attachment, ActiveStorage::Attached::One,
    #   ActiveStorage::Attached::Many, ActiveStorage::Variant, ActiveStorage::VariantWithRecord, ActiveStorage::Preview]
    #   each file of a `has_many_attached`, an Array or a relation
    # @param service [Symbol, String, nil] name of the expected service; nil for any that encrypts
    # @param message [String, nil] shown when the assertion fails
    # @return [void]
    # @raise [ArgumentError] when it is not a file
    # @raise [Minitest::Assertion] unless the file is encrypted everywhere it is stored
    def assert_encrypted(file, message = nil, service: nil)
      problem = TestHelper.problem(file, service: service)
      assert problem.nil?, [message, problem].compact.join("\n")
    end

    # @param file [ActiveStorage::Blob, ActiveStorage::Attachment, ActiveStorage::Attached::One,
    #   ActiveStorage::Attached::Many, ActiveStorage::Variant, ActiveStorage::VariantWithRecord, ActiveStorage::Preview]
    #   each file of a `has_many_attached`, an Array or a relation
    # @param message [String, nil] shown when the assertion fails
    # @return [void]
    # @raise [ArgumentError] when it is not a file
    # @raise [Minitest::Assertion] when the file is encrypted everywhere it is stored, or there is no file
    def assert_not_encrypted(file, message = nil)
      problem = TestHelper.objection(file)
      assert problem.nil?, message || problem
    end

    # @param file [ActiveStorage::Blob, ActiveStorage::Attachment, ActiveStorage::Attached::One,
    #   ActiveStorage::Attached::Many, ActiveStorage::Variant, ActiveStorage::VariantWithRecord, ActiveStorage::Preview]
    #   each file of a `has_many_attached`
    # @param service [Symbol, String, nil]
    # @return [String, nil] why the file is not encrypted; nil when it is
    # @api private
    def self.problem(file, service: nil)
      each_of(file).filter_map { |one| Verdict.new(one, service: service).problem }.first
    end

    # @param file [Object] as in {problem}
    # @return [String, nil] why not every file is stored in plaintext; nil if every file is
    # @api private
    def self.objection(file, service: nil)
      each_of(file).filter_map do |one|
        verdict = Verdict.new(one, service: service)
        verdict.absence || ("The file is encrypted." unless verdict.problem)
      end.first
    end

    # @return [Array] the files of a `has_many_attached`, of an Array or of a relation; for any other file, the file;
    #   [nil] when there is none
    # @raise [ArgumentError] for anything else
    def self.each_of(file)
      file = file.attachments if file.is_a?(ActiveStorage::Attached::Many)
      files = file.is_a?(Array) || file.is_a?(ActiveRecord::Relation) ? file.to_a.presence || [nil] : [file]
      wrong = files.find { |one| !one.nil? && FILES.none? { |name| one.is_a?(ActiveStorage.const_get(name)) } }
      return files if wrong.nil?

      raise ArgumentError, "Expected an attached file, such as contract.pdf, a blob, a variant or a preview, but got " \
                           "an object of the class #{wrong.class}."
    end
    private_class_method :each_of
  end
end
