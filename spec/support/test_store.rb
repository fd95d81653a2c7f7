# frozen_string_literal: true

# The S3 server of this run, with one bucket, and clients for it.
module TestStore
  BUCKET = "specs"
  KEY = OpenSSL::Digest.digest("SHA256", "the key of the specs")
  KEY_ID = "spec-key"
  MEBIBYTE = 1 << 20

  module_function

  # @return [S3Server::Base] started on first use, stopped at the end of the run
  def server
    @server ||= S3Server.start.tap { |server| server.create_bucket(BUCKET) }
  end

  # @return [Hash{Symbol => Object}] an entry of storage.yml without its service
  def settings(**overrides)
    { **server.storage_yml(BUCKET).transform_keys(&:to_sym),
      encryption_key: KEY, encryption_key_id: KEY_ID, **overrides }
  end

  # @return [Hash{Symbol => Object}] an entry for an endpoint that is not the S3 server
  def settings_for(endpoint, **overrides)
    { endpoint: endpoint, bucket: BUCKET, region: "us-east-1", access_key_id: "id", secret_access_key: "secret",
      force_path_style: true, retry_limit: 0, encryption_key: KEY, encryption_key_id: KEY_ID, **overrides }
  end

  # Methods for the specs.
  module Helpers
    def server = TestStore.server

    def bucket = TestStore::BUCKET

    def new_client(**overrides) = EncryptedS3Service::Client.new(**TestStore.settings(**overrides))

    # @return [String] a key that no other example uses
    def unique_key(name = "file") = "#{SecureRandom.hex(8)}/#{name}"

    # @return [String] random bytes, always the same for the same arguments
    def random_bytes(size, seed = 1) = Random.new(seed).bytes(size)

    def md5(data) = [OpenSSL::Digest.digest("MD5", data)].pack("m0")

    # @return [Array(Hash, String)] headers and body of an object in the bucket
    def stored(key)
      status, headers, body = server.get(bucket, key)
      raise "GET #{key} answered #{status}" unless status == 200

      [headers, body]
    end

    # @return [Array(Hash, String)] as {#stored}, with only the headers that belong to the object
    def object_itself(key)
      headers, body = stored(key)
      [headers.select { |name, _| name.match?(/\A(etag|last-modified|content-type|x-amz-meta-.*)\z/) }, body]
    end

    # Stores an object with the given metadata and body.
    def restore(key, headers, body)
      metadata = headers.select { |name, _| name.start_with?("x-amz-meta-") }
      status, = server.put(bucket, key, body, metadata)
      raise "PUT #{key} answered #{status}" unless status == 200
    end

    def stored_plaintext(key, encryption_key = TestStore::KEY)
      EnvelopeDecryptor.decrypt(*stored(key), encryption_key)
    end

    # @return [Array<String>] keys of objects and of unfinished uploads in the folder of the key
    def traces_of(key)
      prefix = key[%r{\A[^/]+/}]
      unfinished = server.multipart_uploads(bucket).map { |upload| upload[:key] }
      server.list(bucket, prefix: prefix) + unfinished.select { |name| name.start_with?(prefix) }
    end
  end
end
