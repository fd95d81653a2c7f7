# frozen_string_literal: true

require "openssl"
require_relative "progress"

module Demo
  # The ways to read a stored file. Each yields it in pieces, so that it is never in memory as a whole.
  class Readers
    # Bytes that are read from a temporary file at once.
    READ_SIZE = 1 << 20
    private_constant :READ_SIZE

    # @param workplace [Workplace]
    # @param visitor [Visitor]
    # @param console [Console]
    def initialize(workplace, visitor, console)
      @workplace = workplace
      @visitor = visitor
      @console = console
    end

    # Reads a file in every way and checks that it has the stored bytes.
    # @param sample [Sample]
    # @param document [Document]
    # @param checks [Checks]
    # @return [Hash{Symbol => Float}] duration of each way in seconds
    def check(sample, document, checks)
      ways = { download: "Active Storage, download", open: "Active Storage, open",
               http: "HTTP, link", proxy: "HTTP, proxy route", aws: "Aws::S3::EncryptionV2" }
      ways.filter_map do |way, name|
        seconds = nil
        checks.attempt("#{name}: byte for byte") { seconds = read(way, name, sample, document, checks) }
        [way, seconds] if seconds
      end.to_h
    end

    # @return [Aws::S3::EncryptionV2::Client] with the key
    def aws_client
      @aws_client ||= Aws::S3::EncryptionV2::Client.new(
        client: @workplace.aws, encryption_key: @workplace.key, key_wrap_schema: :aes_gcm,
        content_encryption_schema: :aes_gcm_no_padding, security_profile: :v2
      )
    end

    private

    def read(way, name, sample, document, checks)
      digest = OpenSSL::Digest.new("SHA256")
      progress = Progress.new(@console, name, sample.size)
      bytes = chunks = 0
      send(way, document, progress) do |chunk|
        digest << chunk
        chunks += 1
        bytes += chunk.bytesize
      end
      progress.finish("#{Units.exact(chunks)} #{chunks == 1 ? "chunk" : "chunks"}")
      same = bytes == sample.size && digest.hexdigest == sample.sha256
      checks.add("#{name}: byte for byte", ("#{bytes} bytes with another SHA-256" unless same))
      progress.seconds if same
    end

    def download(document, progress)
      document.file.download do |chunk|
        yield chunk
        progress.add(chunk.bytesize)
      end
    end

    # There is no progress until the whole file is downloaded.
    def open(document, _progress, &)
      document.file.open { |file| each_piece(file, &) }
    end

    def http(document, progress, &)
      visit(urls.rails_blob_path(document.file, only_path: true), document, progress, &)
    end

    def proxy(document, progress, &)
      visit(urls.rails_storage_proxy_path(document.file, only_path: true), document, progress, &)
    end

    def urls = Rails.application.routes.url_helpers

    def visit(path, document, progress)
      @visitor.get(path) do |response|
        check_response(response, document.file.blob)
        response.read_body do |chunk|
          yield chunk
          progress.add(chunk.bytesize)
        end
      end
    end

    # A visitor receives the type and the name, which are not in the bucket.
    def check_response(response, blob)
      name = ERB::Util.url_encode(blob.filename.to_s)
      raise Workplace::Error, "the application answered #{response.code}" unless response.code == "200"
      raise Workplace::Error, "the type is #{response.content_type}" unless response.content_type == blob.content_type
      raise Workplace::Error, "the name is missing" unless response["content-disposition"].to_s.include?(name)
    end

    def aws(document, progress, &)
      path = @workplace.path("from-aws")
      WatchedFile.open(path, "w+b") do |file|
        file.watch { |bytes| progress.add(bytes) }
        aws_client.get_object(bucket: @workplace.bucket, key: document.file.blob.key, response_target: file)
        file.rewind
        each_piece(file, &)
      end
    ensure
      FileUtils.rm_f(path)
    end

    def each_piece(file)
      buffer = String.new(capacity: READ_SIZE, encoding: Encoding::BINARY)
      yield buffer while file.read(READ_SIZE, buffer)
    end

    # A file that calls a block for each write.
    class WatchedFile < File
      # @yieldparam bytes [Integer] written bytes
      # @return [void]
      def watch(&block) = @watcher = block

      # @return [Integer] bytes
      def write(*) = super.tap { |bytes| @watcher&.call(bytes) }
    end
    private_constant :WatchedFile
  end
end
