# frozen_string_literal: true

require "rack/mock"
require_relative "client_operations"
require "encrypted_s3_service/maintenance/indexing"
require "encrypted_s3_service/maintenance/migration"
require "encrypted_s3_service/maintenance/rotation"

module Faults
  # Operations of Active Storage's service, of the controllers and of the tasks, in the dummy application.
  module RailsOperations
    SMALL = ClientOperations::SMALL
    LARGE = ClientOperations::LARGE
    # The error that Rails answered with an error page.
    RAISED = "faults.raised"
    ActionDispatch::DebugExceptions.register_interceptor { |request, error| request.set_header(RAISED, error) }
    # Rails' proxy answers an error of the store itself.
    module Refusals
      private

      def refuse_unreadable(error)
        request.set_header(RAISED, error)
        super
      end
    end
    HOST = { protocol: "http://", host: "www.example.com" }.freeze

    module_function

    # @return [Array<Operation>]
    def all = [opening, *direct_uploads, *links, *proxies, *rotations, audit, indexing, *migrations]

    def opening
      ClientOperations.reading("open", LARGE) do |world|
        checksum = ClientOperations.md5(world.bytes(LARGE))
        world.service.open(world.key, checksum: checksum) { |file| world.see(file.read) }
      end
    end

    def direct_uploads
      [direct_upload("direct upload (PUT)", SMALL),
       direct_upload("direct upload in parts (PUT)", ClientOperations::PARTS)]
    end

    def direct_upload(name, size)
      Operation.new(
        name: name,
        run: lambda do |world|
          request(direct_upload_url(world, size), method: "PUT", input: world.bytes(size),
                                                  "CONTENT_TYPE" => "video/mp4")
          {}
        end,
        right: ->(world, _) { world.stored?("file", world.bytes(size)) }
      )
    end

    def direct_upload_url(world, size)
      ActiveStorage::Current.set(url_options: HOST) do
        world.service.url_for_direct_upload(world.key, expires_in: 60, content_type: "video/mp4", content_length: size,
                                                       checksum: ClientOperations.md5(world.bytes(size)))
      end
    end

    def links
      [ClientOperations.reading("link (GET)", SMALL) { |world| get(world) },
       ClientOperations.reading("link to a large file (GET)", LARGE) { |world| get(world) },
       ClientOperations.reading("a range by a link (GET)", LARGE, 2_000_000..2_999_999) do |world|
         get(world, "HTTP_RANGE" => "bytes=2000000-2999999")
       end,
       Operation.new(name: "link (HEAD)", prepare: ->(world) { world.put("file", world.bytes(SMALL)) },
                     run: ->(world) { { size: request(url_of(world), method: "HEAD")["content-length"].to_i } },
                     right: ->(_, result) { result[:size] == SMALL })]
    end

    def proxies
      [proxy("Rails' proxy (GET)", SMALL), proxy("Rails' proxy to a large file (GET)", LARGE),
       proxy("a range at Rails' proxy (GET)", LARGE, 2_000_000..2_999_999, "HTTP_RANGE" => "bytes=2000000-2999999")]
    end

    def proxy(name, size, part = 0.., headers = {})
      store = lambda do |world|
        blob(world, world.service.name, size)
        world.put("file", world.bytes(size))
      end
      ClientOperations.reading(name, size, part, prepare: store) do |world|
        ActiveStorage::Blobs::ProxyController.prepend(Refusals)
        found = rows { ActiveStorage::Blob.find_by!(key: world.key) }
        url = Rails.application.routes.url_helpers.rails_storage_proxy_url(found, **HOST)
        request(url, method: "GET", **headers) { |chunk| world.see(chunk) }
      end
    end

    def get(world, headers = {}) = request(url_of(world), method: "GET", **headers) { |chunk| world.see(chunk) }

    def url_of(world)
      ActiveStorage::Current.set(url_options: HOST) do
        world.service.url(world.key, expires_in: 60, filename: ActiveStorage::Filename.new("film.mp4"),
                                     content_type: "video/mp4", disposition: :inline)
      end
    end

    # @yieldparam chunk [String] a part of the answer's body
    # @return [Hash{String => String}] the answer's headers
    # @raise the error behind a 503, or behind an answer that is broken off
    def request(url, **)
      environment = Rack::MockRequest.env_for(url, **)
      status, headers, body = Rails.application.call(environment)
      unless (200..299).cover?(status)
        # docs/operations.md: an error that may be retried is a 503.
        raise environment[RAISED] if status == 503 && environment.key?(RAISED)

        raise "the application answered #{status}"
      end
      body.each { |chunk| yield chunk if block_given? }
      headers.transform_keys(&:downcase)
    rescue EOFError => e
      raise e.cause.is_a?(EOFError) ? e.cause.cause : e.cause
    ensure
      body.close if body.respond_to?(:close)
    end

    def rotations
      [rotation("rotate (task)", World::LATER),
       rotation("rotate with REENCRYPT (task)", { **World::LATER, commitment_policy: "require_encrypt_allow_decrypt" },
                reencrypt: true)]
    end

    def rotation(name, settings, **options)
      Operation.new(
        name: name, settings: settings,
        prepare: ->(world) { blob(world, world.service.name) && world.put("file", world.bytes(SMALL)) },
        run: lambda do |world|
          finished(EncryptedS3Service::Rotation.new(world.service_name, blobs: blobs(world), **options).run.failures)
        end,
        right: ->(world, _) { world.stored?("file", world.bytes(SMALL), World::LATER[:encryption_key]) }
      )
    end

    def audit
      Operation.new(
        name: "audit (task)",
        prepare: ->(world) { blob(world, world.service.name) && world.put("file", world.bytes(SMALL)) },
        run: lambda do |world|
          audit = EncryptedS3Service::Rotation::Audit.new(world.service_name, blobs: blobs(world)).run
          finished(audit.failures + audit.missing + audit.unencrypted) && { counted: audit.current }
        end,
        right: ->(_, result) { result[:counted] == 1 }
      )
    end

    def indexing
      Operation.new(
        name: "index (task)",
        prepare: lambda do |world|
          blob(world, world.service.name, ClientOperations::LARGE)
          ClientOperations.put_without_map(world)
        end,
        run: lambda do |world|
          indexing = EncryptedS3Service::Indexing.new(world.service_name, blobs: blobs(world))
          outcomes = indexing.run.outcomes
          finished(indexing.run_failures.of(:failed, :missing)) && outcomes
        end,
        right: ->(world, _) { world.names == %w[file file.segments] }
      )
    end

    def migrations = [migration_here, migration_away]

    def migration_here
      Operation.new(
        name: "migrate to the service (task)",
        prepare: lambda do |world|
          world.service
          blob(world, "local")
          ActiveStorage::Blob.services.fetch(:local).upload(world.key, StringIO.new(world.bytes(SMALL)))
        end,
        run: ->(world) { migrate(world, from: :local, to: world.service_name) },
        right: ->(world, _) { in_service?(world, world.service_name) && world.stored?("file", world.bytes(SMALL)) },
        # The copy exists, but the row still names the old service. The next run compares the two files and continues.
        partly: ->(world) { in_service?(world, "local") && world.stored?("file", world.bytes(SMALL)) }
      )
    end

    def migration_away
      Operation.new(
        name: "migrate away with DELETE (task)",
        prepare: ->(world) { blob(world, world.service.name) && world.put("file", world.bytes(SMALL)) },
        run: ->(world) { migrate(world, from: world.service_name, to: :elsewhere, delete: true) },
        right: ->(world, _) { moved?(world) && world.names == [] },
        # The file has been moved, but the old one is not yet deleted.
        partly: ->(world) { moved?(world) && world.stored?("file", world.bytes(SMALL)) }
      )
    end

    def migrate(world, **) = finished(EncryptedS3Service::Migration.new(blobs: blobs(world), **).run.failures)

    # @param failures [Array<EncryptedS3Service::TaskRun::Failure>]
    # @return [Hash] if nothing failed
    # @raise [TaskFailure]
    def finished(failures)
      failed = failures.first
      raise TaskFailure, failed.reason || "EncryptedS3Service::EnvelopeError: #{failed}" if failed

      {}
    end

    def moved?(world)
      in_service?(world, "elsewhere") &&
        ActiveStorage::Blob.services.fetch(:elsewhere).download(world.key) == world.bytes(SMALL)
    end

    def in_service?(world, name) = rows { blobs(world).pick(:service_name) == name }

    def blobs(world) = ActiveStorage::Blob.where(key: world.key)

    def blob(world, service_name, size = SMALL)
      data = world.bytes(size)
      rows do
        ActiveStorage::Blob.insert!({ key: world.key, filename: "film.mp4", content_type: "video/mp4", metadata: "{}",
                                      service_name: service_name.to_s, byte_size: data.bytesize,
                                      checksum: ClientOperations.md5(data), created_at: Time.current })
      end
    end

    def rows(&) = EncryptedS3Service::TaskRun::Rows.connected(&)
  end
end
