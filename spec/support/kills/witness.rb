# frozen_string_literal: true

require_relative "files"

module Kills
  # Compares bucket and database.
  class Witness
    SIDECAR = ".segments"
    PROBE = /\Amigration-probe-/

    # @param bucket [String]
    def initialize(bucket)
      @bucket = bucket
    end

    # @param needed [Array<String>, nil] keys of files that must exist; nil for all
    # @param stray [Boolean] whether objects may have no row yet
    # @return [Array<String>] the differences
    def problems(needed: nil, stray: false)
      blobs = ActiveStorage::Blob.order(:id).to_a
      blobs.filter_map { |blob| problem_of(blob, needed.nil? || needed.include?(blob.key)) } +
        (stray ? [] : strays(blobs.map(&:key)))
    end

    # @return [Integer] unfinished multipart uploads, which a lifecycle rule would remove
    def unfinished = TestStore.server.multipart_uploads(@bucket).size

    # @return [Integer] test objects of killed migrations, which find out with them whether services share a bucket
    def probes = keys.grep(PROBE).size

    # Empties bucket and table.
    def clear
      keys.each { |key| TestStore.server.delete(@bucket, key) }
      TestStore.server.multipart_uploads(@bucket).each { |upload| TestStore.server.abort_upload(@bucket, **upload) }
      ActiveStorage::Blob.delete_all
    end

    private

    def problem_of(blob, needed)
      data = read(blob)
      "#{name_of(blob)} has other bytes" unless data == Files.content(blob.filename.to_s)
    rescue ActiveStorage::FileNotFoundError
      "#{name_of(blob)} is not there" if needed
    rescue StandardError => e
      "#{name_of(blob)} cannot be read: #{e.class}: #{e.message}"
    end

    # While the file is read, the store may still execute the last request of the killed process.
    def read(blob, tries = 3)
      blob.download
    rescue EncryptedS3Service::ChangedError
      (tries -= 1).positive? ? retry : raise
    end

    def name_of(blob) = "#{blob.key} (#{blob.filename}) of #{blob.service_name}"

    def strays(rows)
      known = rows.flat_map { |key| [key, "#{key}#{SIDECAR}"] }
      (keys - known).grep_v(PROBE).map { |key| "no row has the object #{key}" }
    end

    def keys = TestStore.server.list(@bucket)
  end
end
