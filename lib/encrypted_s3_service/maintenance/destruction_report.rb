# frozen_string_literal: true

require "json"
require "time"
require_relative "../tenancy/service_parts"
require_relative "report_signature"
require_relative "task_run/workers"
require_relative "unreadable_files"

module EncryptedS3Service
  # The proof that the files of destroyed keys cannot be opened: a signed report that lists the objects and their key
  # ids and states that each was tried and did not open, and when.
  #
  #     signature = EncryptedS3Service::ReportSignature.new("file:key.pem")
  #     report = EncryptedS3Service::DestructionReport.new(signature: signature)
  #     report.run.write("tmp/customer-42")   # customer-42.json, .json.sig, .html, .html.sig
  #
  # The older versions of an object in a bucket that keeps them are tried as well, and so are the old files of a
  # migration, until they are deleted. Older versions of purged files are not, because no row names them.
  #
  # It names blobs and objects but not files, because names of files are often personal data. The report is kept in
  # memory, some kilobytes for each file.
  class DestructionReport
    # Loaded in the class, so that these files, which add to it, find it and do not load this file again.
    require_relative "destruction_report/page"
    require_relative "destruction_report/plaintext_copy"
    require_relative "destruction_report/results"
    require_relative "destruction_report/trial"

    # Number of objects tried at once.
    CONCURRENCY = 4
    # Blobs per query.
    BATCH = 500
    # Suffixes of the files that {#write} writes.
    SUFFIXES = %w[.json .html].flat_map { |suffix| [suffix, "#{suffix}#{ReportSignature::SUFFIX}"] }.freeze
    private_constant :BATCH, :SUFFIXES

    # Call it before {#run}, which may take hours.
    # @param path [String] the beginning of the four paths
    # @return [void]
    # @raise [FileError] if one of the files exists, or its folder cannot be written
    def self.check(path)
      there = SUFFIXES.map { |suffix| "#{path}#{suffix}" }.find { |name| File.exist?(name) || File.symlink?(name) }
      raise FileError, "#{there} already exists." if there

      folder = File.dirname(path)
      raise FileError, "The report cannot be written: there is no folder #{folder}." unless File.directory?(folder)
      raise FileError, "The report cannot be written into #{folder}." unless File.writable?(folder)
    end

    # @param files [UnreadableFiles] the files to try
    # @param signature [ReportSignature] with the private key
    # @param concurrency [Integer] number of objects tried at once
    def initialize(files = UnreadableFiles.new, signature:, concurrency: CONCURRENCY)
      @files = files
      @signature = signature
      @workers = TaskRun::Workers.new(concurrency)
      @tried = []
    end

    # Tries every object.
    # @return [self]
    # @raise [ConfigurationError] when no key is destroyed
    def run
      @began_at = Time.now.utc.iso8601
      # A key that a custodian has destroyed may still be in the memory of this process.
      EncryptedS3Service.forget_keys
      if @files.lines.empty?
        raise ConfigurationError,
              "No file is under a destroyed key, so there is nothing to report."
      end

      @files.blobs.find_in_batches(batch_size: BATCH) do |blobs|
        @workers.each(blobs, method(:try)) do |_blob, tried|
          tried.is_a?(Exception) ? raise(tried) : @tried.concat(tried)
        end
      end
      @ended_at = Time.now.utc.iso8601
      self
    end

    # @return [Boolean] whether every object was tried, none could be opened, and none is for recovery keys
    def proven? = @tried.none? { |file| Results::UNPROVEN.include?(file[:result]) }

    # @return [Hash{Symbol => Object}] the report
    def to_h
      { report: "destruction report", report_version: 1, software: "encrypted_s3_service #{VERSION}",
        began_at: @began_at, ended_at: @ended_at, verdict: proven? ? "unreadable" : "not proven",
        signing_key: @signature.fingerprint, services: services, files: files }
    end

    # Writes the report and its signatures: all four files or none.
    # @param path [String] the beginning of the four paths
    # @return [Array<String>] the paths
    # @raise [FileError] if one of them exists, or cannot be written
    def write(path)
      self.class.check(path)
      written = []
      SUFFIXES.zip(contents) do |suffix, content|
        File.open("#{path}#{suffix}", File::WRONLY | File::CREAT | File::EXCL, 0o600) do |file|
          written << file.path
          file.binmode.write(content)
        end
      end
      written
    rescue SystemCallError => e
      File.delete(*written)
      raise FileError, "The report cannot be written: #{e.message}"
    end

    private

    # In the order of {SUFFIXES}.
    def contents
      json = "#{JSON.pretty_generate(to_h)}\n"
      page = Page.new(to_h, OpenSSL::Digest.hexdigest("SHA256", json)).to_s
      [json, page].flat_map { |text| [text, @signature.sign(text)] }
    end

    # Runs in several threads.
    def try(blob)
      own = objects(blob, blob.key, blob.service_name)
      own + Migration::FormerKeys.of(blob.id).flat_map { |key, service_name| former(blob, key, service_name) }
    end

    def objects(blob, key, service_name)
      trials(service_name).map do |part, trial|
        { service: part.name.to_s, blob_id: blob.id, key: key, bytes: blob.byte_size, **trial.call(key) }
      end
    end

    # The files that a migration has not deleted yet, which must not be readable either.
    def former(blob, key, service_name)
      objects(blob, key, service_name).reject { |file| file[:result] == Results::GONE }
    rescue KeyError, ConfigurationError
      message = "The service no longer exists. It had an old file of a migration"
      [{ service: service_name, blob_id: blob.id, key: key, bytes: blob.byte_size, result: Results::NOT_TRIED,
         tries: [{ with: service_name, error: "configuration", message: message }] }]
    end

    # Each service of a mirror has a copy of the object.
    def trials(name)
      (@trials ||= Concurrent::Map.new).compute_if_absent(name) do
        parts = ServiceParts.new(ActiveStorage::Blob.services.fetch(name)).to_a
        parts.to_h { |part| [part, ServiceParts.encrypts?(part) ? Trial.new(part) : PlaintextCopy.new(part)] }
      end
    end

    def files = @tried.sort_by { |file| [file[:service], file[:blob_id].to_s.rjust(20)] }

    def services
      trials = @trials&.values.to_a.reduce({}, :merge)
      by_service = @tried.group_by { |file| file[:service] }
      trials.filter_map { |part, trial| by_service[part.name.to_s]&.then { |files| summary(part, trial, files) } }
            .sort_by { |service| service[:service] }
    end

    def summary(part, trial, files)
      { service: part.name.to_s, bucket: trial.bucket, files: files.size,
        bytes: files.sum { |file| file[:bytes].to_i }, results: files.pluck(:result).tally,
        key_ids: files.pluck(:key_id).tally.transform_keys { |id| id || "none" }, keys_tried: trial.key_ids }
    end
  end
end
