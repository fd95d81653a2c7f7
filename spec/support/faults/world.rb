# frozen_string_literal: true

require_relative "faulty_store"

module Faults
  # The resources of a trial: a folder of the bucket, a faulty store, and clients with and without faults.
  class World
    # Small values, so that a trial is short.
    LIMITS = { http_open_timeout: 2, http_read_timeout: 3, http_idle_timeout: 0.2, retry_limit: 2,
               memory_limit: 1 << 20,
               upload: { multipart_threshold: 5 << 20, part_size: 5 << 20, concurrency: 2 } }.freeze
    # The writing key after a rotation.
    LATER = { encryption_key: "the key that follows the other one"[0, 32], encryption_key_id: "later",
              decryption_keys: { TestStore::KEY_ID => TestStore::KEY } }.freeze

    # @return [String] prefix of the keys of all objects of the trial
    attr_reader :folder

    # @return [FaultyStore]
    attr_reader :store

    # @return [String] decrypted bytes that the operation has returned so far
    attr_reader :seen

    # Entries of storage.yml by the names of services, for `config.encrypted_s3_service.service_resolver`.
    # @return [Hash{String => Hash}]
    def self.entries = @entries ||= {}

    # @param settings [Hash] of the client whose requests meet faults
    # @yieldparam world [World] closed after the block
    def self.open(settings)
      world = new(settings)
      yield world
    ensure
      world&.close
    end

    def initialize(settings)
      @folder = "faults-#{SecureRandom.hex(6)}/"
      @store = FaultyStore.new(URI(TestStore.server.endpoint))
      @settings = TestStore.settings(**LIMITS, **settings, endpoint: @store.endpoint)
      @seen = "".b
      @kept = {}
    end

    def close
      store.stop
      self.class.entries.delete(service_name)
      snapshot.each_key { |key| server.delete(TestStore::BUCKET, key) }
      unfinished_uploads.each { |upload| server.abort_upload(TestStore::BUCKET, **upload) }
    end

    # @return [EncryptedS3Service::Client] to whose requests faults happen
    def client = @client ||= EncryptedS3Service::Client.new(**@settings)

    # @return [String] the name of {#service}
    def service_name = "line-#{folder.delete("-/")}"

    # @return [ActiveStorage::Service::EncryptedS3Service] to whose requests faults happen
    def service
      self.class.entries[service_name] = { service: "EncryptedS3", **@settings }
      ActiveStorage::Blob.services.fetch(service_name)
    end

    # @return [EncryptedS3Service::Client] to whose requests no faults happen
    def direct = EncryptedS3Service::Client.new(**TestStore.settings(http_idle_timeout: 0.2))

    def server = TestStore.server

    def key(name = "file") = "#{folder}#{name}"

    # @return [String] random bytes, always the same for the same size and seed
    def bytes(size, seed = 1) = @kept[[size, seed]] ||= Random.new(seed).bytes(size)

    # Stores a file, without faults.
    def put(name, data) = direct.upload(key(name), StringIO.new(data))

    # Collects the output of the operation.
    # @return [String] all of it
    def see(chunk) = @seen << chunk

    # @return [Boolean] whether the bucket contains the complete file
    def stored?(name, data, encryption_key = TestStore::KEY)
      status, headers, body = server.get(TestStore::BUCKET, key(name))
      status == 200 && EnvelopeDecryptor.decrypt(headers, body, encryption_key) == data
    rescue StandardError
      false
    end

    # @return [Hash{String => Array}] all objects of the trial by key: their metadata, and a digest of their bodies
    def snapshot
      server.list(TestStore::BUCKET, prefix: folder).to_h do |key|
        _status, headers, body = server.get(TestStore::BUCKET, key)
        [key, [headers.select { |name, _| name.start_with?("x-amz-meta-") }, OpenSSL::Digest::SHA256.digest(body)]]
      end
    end

    # @return [Array<String>] keys below the folder, relative to it
    def names = server.list(TestStore::BUCKET, prefix: folder).map { |key| key.delete_prefix(folder) }.sort

    # @return [Array<Hash>] unfinished multipart uploads
    def unfinished_uploads = server.multipart_uploads(TestStore::BUCKET, prefix: folder)

    # @return [Integer] number of stored parts of unfinished uploads
    def orphaned_parts = unfinished_uploads.sum { |upload| server.parts(TestStore::BUCKET, **upload) }
  end
end
