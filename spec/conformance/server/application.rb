# frozen_string_literal: true

require "json"
require "rack"
require_relative "clients"

# A server with the Smithy model that Amazon uses to test its S3 encryption clients in all languages
# (aws/amazon-s3-encryption-client-python, test-server/model), for our client. It receives keys and authenticates
# nobody: for tests only.
module ConformanceServer
  # The model's operations over HTTP (restJson1).
  class Application
    NAMESPACE = "software.amazon.encryption.s3"
    OBJECT = %r{\A/object/(?<bucket>[^/]+)/(?<key>.+?)(?<reencrypt>/reencrypt)?\z}

    # Errors of the store are not refusals by the client. They must not satisfy a case that expects a refusal.
    STORE_ERRORS = [EncryptedS3Service::StoreError, EncryptedS3Service::NotFoundError].freeze

    def initialize(connection)
      @clients = Clients.new(connection)
    end

    def call(env)
      answer(Rack::Request.new(env))
    rescue StandardError => e
      error(refusal?(e) ? "S3EncryptionClientError" : "GenericServerError", e)
    end

    private

    def refusal?(error)
      return false if STORE_ERRORS.any? { |kind| error.is_a?(kind) }

      error.is_a?(Refusal) || error.is_a?(EncryptedS3Service::Error)
    end

    def answer(request)
      return create_client(request) if request.post? && request.path == "/client"

      place = OBJECT.match(request.path) or return [404, {}, []]
      bucket, key = place.values_at(:bucket, :key).map { |part| Rack::Utils.unescape_path(part) }
      case [request.request_method, place[:reencrypt]]
      in ["PUT", nil] then put(request, bucket, key)
      in ["GET", nil] then get(request, bucket, key)
      in ["POST", String] then reencrypt(request, bucket, key)
      else [405, {}, []]
      end
    end

    def create_client(request)
      json(clientId: @clients.create(JSON.parse(request.body.read).fetch("config")))
    end

    def put(request, bucket, key)
      client = client_of(request, bucket, **context_of(request))
      client.upload(key, request.body)
      json(bucket: bucket, key: key, metadata: [])
    end

    def get(request, bucket, key)
      suffix = request.get_header("HTTP_INSTRUCTIONFILESUFFIX")
      client = client_of(request, bucket, **context_of(request), **{ instruction_file_suffix: suffix }.compact)
      body = read(client, key, request.get_header("HTTP_RANGE"))
      [200, { "content-type" => "application/octet-stream", "content-metadata" => "" }, [body]]
    end

    def read(client, key, range)
      return client.download(key) unless range

      first, last = range.match(/\Abytes=(\d+)-(\d+)\z/)&.captures || raise(ArgumentError, "Range is #{range}")
      client.download_chunk(key, Integer(first)..Integer(last))
    end

    def reencrypt(request, bucket, key)
      material = JSON.parse(request.body.read)
      client = @clients.fetch_with_new_key(client_id(request), bucket, material, **suffix_of(request))
      rotated = client.rotate(key)
      raise Refusal, rotated.reason if rotated.outcome == :reencrypt
      raise Refusal, "the new key is the old one" if rotated.outcome == :current && enforced?(request)

      json(bucket: bucket, key: key, enforceRotation: enforced?(request))
    end

    # The model's format for a map in a header: `[name]:[value],[name]:[value]`.
    def context_of(request)
      pairs = request.get_header("HTTP_CONTENT_METADATA").to_s.scan(/\[([^\]]*)\]:\[([^\]]*)\]/).to_h
      pairs.empty? ? {} : { kms_encryption_context: pairs }
    end

    def enforced?(request) = request.get_header("HTTP_ENFORCEROTATION") == "true"

    def suffix_of(request)
      suffix = request.get_header("HTTP_INSTRUCTIONFILESUFFIX")
      suffix ? { instruction_file_suffix: ".#{suffix.delete_prefix(".")}" } : {}
    end

    def client_of(request, bucket, **changes)
      @clients.fetch(client_id(request), bucket, **changes)
    end

    def client_id(request) = request.get_header("HTTP_CLIENTID") || raise(ArgumentError, "ClientID is missing")

    def json(**body) = [200, { "content-type" => "application/json" }, [JSON.generate(body)]]

    def error(type, cause)
      body = JSON.generate("__type" => "#{NAMESPACE}##{type}", "message" => cause.message)
      [500, { "content-type" => "application/json", "x-amzn-errortype" => type }, [body]]
    end
  end
end
