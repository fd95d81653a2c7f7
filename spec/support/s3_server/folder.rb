# frozen_string_literal: true

require "fileutils"
require "json"
require "securerandom"
require "tmpdir"
require_relative "base"

module S3Server
  # A folder for each bucket instead of a server, in the format of a service with `root` (docs/settings.md). It is read
  # and written here without the gem, as documented, with the interface of a server.
  class Folder
    # The longest key that a file name contains in full.
    LONGEST_NAME = 180
    private_constant :LONGEST_NAME

    # @return [String] a value for specs that search for secrets in output
    attr_reader :secret_access_key

    # @param dir [String, nil] the parent of the folders; nil for a temporary folder
    def initialize(dir = nil)
      @dir = dir || Dir.mktmpdir("encrypted-s3-folder-").tap { |made| at_exit { FileUtils.rm_rf(made) } }
      @secret_access_key = "a folder has no secret"
    end

    # @return [self]
    def start = self

    # The folder is removed at exit.
    def stop; end

    # The folder is created with the first object.
    def create_bucket(_name) = nil

    # @return [Array(Integer, Hash{String => String}, String)] status, headers with lower-case names, the stored body
    def get(bucket, key, _headers = {})
      path, record = find(bucket, key)
      path ? [200, headers_of(path, record), body_of(path, record)] : [404, {}, +""]
    end

    # @return (see #get)
    def head(bucket, key, headers = {}) = [*get(bucket, key, headers).first(2), +""]

    # @return (see #get)
    def put(bucket, key, body, headers = {})
      delete(bucket, key)
      write(record_of(bucket, key), key, body, headers)
      [200, {}, +""]
    end

    # @return (see #get)
    def delete(bucket, key)
      path, record = find(bucket, key)
      FileUtils.rm([path, File.join(File.dirname(path), record.fetch("Body"))]) if path
      [204, {}, +""]
    end

    # @return [Array<String>]
    def list(bucket, prefix: "")
      records(bucket).map { |_, record| record.fetch("Key") }.select { |key| key.start_with?(prefix) }.sort
    end

    # @return [Array<Hash>] unfinished multipart uploads, each with :key and :upload_id
    def multipart_uploads(bucket)
      Dir.glob(File.join(root(bucket), ".encrypted_s3/uploads/*/object.json")).map do |path|
        { key: JSON.parse(File.read(path)).fetch("Key"), upload_id: File.basename(File.dirname(path)) }
      end
    end

    # @return [Hash{String => Object}] the S3 part of a service's entry in storage.yml, which is `root` here
    def storage_yml(bucket) = { "root" => root(bucket) }

    # @return [String] the folder of a bucket
    def root(bucket) = File.join(@dir, bucket)

    private

    def records(bucket)
      Dir.glob(File.join(root(bucket), "*/*/*.json")).map { |path| [path, JSON.parse(File.read(path))] }
    end

    def find(bucket, key)
      path = record_of(bucket, key)
      [path, JSON.parse(File.read(path))] if File.exist?(path)
    end

    def record_of(bucket, key)
      name = key.b.gsub(/[^a-z0-9_-]/n) { |byte| format("%%%02X", byte.ord) }
      raise Error, "#{key} is too long for a file name" if name.size > LONGEST_NAME

      File.join(root(bucket), name[0, 2].ljust(2, "_"), name[2, 2].to_s.ljust(2, "_"), "#{name}.json")
    end

    def headers_of(path, record)
      metadata = record.fetch("Metadata").transform_keys { |name| "x-amz-meta-#{name}" }
      { "etag" => record.fetch("ETag"), "content-type" => record.fetch("ContentType"),
        "last-modified" => File.mtime(path).to_r.to_s, **metadata }
    end

    def body_of(path, record) = File.binread(File.join(File.dirname(path), record.fetch("Body")))

    def write(path, key, body, headers)
      FileUtils.mkdir_p(File.dirname(path))
      file = "#{File.basename(path, ".json")}.#{SecureRandom.hex(16)}"
      File.binwrite(File.join(File.dirname(path), file), body)
      metadata = headers.select { |header, _| header.start_with?("x-amz-meta-") }
                        .transform_keys { |header| header.delete_prefix("x-amz-meta-") }
      record = { "Key" => key, "ETag" => %("#{SecureRandom.hex(16)}"), "ContentLength" => body.bytesize,
                 "ContentType" => "application/octet-stream", "Metadata" => metadata, "Body" => file }
      File.write(path, JSON.generate(record))
    end
  end
end
