# frozen_string_literal: true

require "securerandom"
require_relative "signed_request"

module S3Server
  # A server could not be started, or did not answer as required.
  class Error < StandardError; end

  # Plain S3 requests, which encrypt and decrypt nothing.
  class Base
    ENTITIES = { "amp" => "&", "lt" => "<", "gt" => ">", "quot" => '"', "apos" => "'" }.freeze
    private_constant :ENTITIES

    # Time limit in seconds until a server is ready.
    DEADLINE = 60

    # @return [String]
    attr_reader :endpoint, :access_key_id, :secret_access_key, :region

    # Creates a bucket, if it does not exist, and waits until an object can be written to it. Some servers refuse that
    # at first.
    def create_bucket(name)
      until_ready("creating the bucket #{name}") do
        created = request("PUT", "/#{name}")
        next created unless [200, 409].include?(created[0])

        probe = ".probe-#{SecureRandom.hex(4)}"
        written = put(name, probe, "")
        delete(name, probe) if written[0] == 200
        written
      end
    end

    # @return [Array(Integer, Hash{String => String}, String)] status, headers with lower-case names, the stored body
    def get(bucket, key, headers = {}) = request("GET", "/#{bucket}/#{key}", headers:)

    # @return (see #get)
    def put(bucket, key, body, headers = {}) = request("PUT", "/#{bucket}/#{key}", headers:, body:)

    # @return (see #get)
    def head(bucket, key, headers = {}) = request("HEAD", "/#{bucket}/#{key}", headers:)

    # @return (see #get)
    def delete(bucket, key) = request("DELETE", "/#{bucket}/#{key}")

    # Removes all tags of an object.
    # @param path [String] bucket and key, URL-encoded
    def forget_tags(path) = request("DELETE", "/#{URI.decode_uri_component(path)}", query: { "tagging" => "" })

    # @return [Array<String>] all keys, from all pages
    def list(bucket, prefix: "")
      keys = []
      query = { "list-type" => "2", "prefix" => prefix }
      loop do
        xml = ask("/#{bucket}", query)
        keys.concat(xml.scan(%r{<Contents>.*?</Contents>}m).map { |contents| text(contents, "Key") })
        return keys unless text(xml, "IsTruncated") == "true"

        query["continuation-token"] = text(xml, "NextContinuationToken")
      end
    end

    # Enables versioning for a bucket.
    def keep_versions(bucket)
      xml = "<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>"
      status, _headers, body = request("PUT", "/#{bucket}", query: { "versioning" => "" }, body: xml)
      raise Error, "PUT /#{bucket}?versioning: #{status} #{body}" unless status == 200
    end

    # @return [Array<String>] the ids of the versions of an object, the latest first, without delete markers
    def versions(bucket, key)
      xml = ask("/#{bucket}", { "versions" => "", "prefix" => key })
      versions = xml.scan(%r{<Version>.*?</Version>}m).select { |version| text(version, "Key") == key }
      versions.map { |version| text(version, "VersionId") }
    end

    # @return [Array<Hash>] the first thousand unfinished multipart uploads, each with :key and :upload_id
    def multipart_uploads(bucket, prefix: "")
      ask("/#{bucket}", { "uploads" => "", "prefix" => prefix }).scan(%r{<Upload>.*?</Upload>}m).map do |upload|
        { key: text(upload, "Key"), upload_id: text(upload, "UploadId") }
      end
    end

    # @return [Integer] parts of an unfinished multipart upload, at most a thousand
    def parts(bucket, key:, upload_id:)
      status, _headers, body = request("GET", "/#{bucket}/#{key}", query: { "uploadId" => upload_id })
      status == 404 ? 0 : body.scan("<PartNumber>").size
    end

    # @return (see #get)
    def abort_upload(bucket, key:, upload_id:)
      request("DELETE", "/#{bucket}/#{key}", query: { "uploadId" => upload_id })
    end

    # @return [Hash{String => Object}] the S3 part of a service's entry in storage.yml
    def storage_yml(bucket)
      { "access_key_id" => access_key_id, "secret_access_key" => secret_access_key, "region" => region,
        "endpoint" => endpoint, "force_path_style" => true, "bucket" => bucket }
    end

    def inspect = "#<#{self.class.name} #{endpoint}>"

    private

    def request(method, path, **options)
      SignedRequest.new(endpoint:, access_key_id:, secret_access_key:, region:).call(method, path, **options)
    end

    def ask(path, query)
      status, _headers, body = request("GET", path, query:)
      raise Error, "GET #{path} #{query}: #{status} #{body}" unless status == 200

      body.force_encoding(Encoding::UTF_8)
    end

    def text(xml, name)
      xml[%r{<#{name}>(.*?)</#{name}>}m, 1].to_s.gsub(/&(?:#x(\h+)|#(\d+)|(\w+));/) do
        next ENTITIES.fetch(Regexp.last_match(3)) if Regexp.last_match(3)

        [Regexp.last_match(1)&.hex || Regexp.last_match(2).to_i].pack("U")
      end
    end

    # Retries until the status is 200. A 400 is final. A server that is starting may answer with any other status.
    def until_ready(what)
      deadline = now + DEADLINE
      loop do
        answer = begin
          yield
        rescue SystemCallError, IOError, Timeout::Error, Net::HTTPBadResponse => e
          [0, {}, e.message]
        end
        return if answer[0] == 200

        give_up("#{what} failed, the last answer was #{answer[0]} #{answer[2]}") if now > deadline || answer[0] == 400
        check_alive
        sleep 0.05
      end
    end

    def check_alive; end

    def give_up(message) = raise(Error, message)

    def now = Process.clock_gettime(Process::CLOCK_MONOTONIC)
  end
end
