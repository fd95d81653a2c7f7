# frozen_string_literal: true

module EncryptedS3Service
  module Serving
    # Decrypted files on Rails' own routes. Active Storage's proxies allow every cache to keep their responses for a
    # hundred years (`http_cache_forever public: true`). A CDN would keep the plaintext, even after the file was purged
    # or its key destroyed.
    # @api private
    module PrivateProxy
      # @return [Hash{String => Module}] modules to prepend to Active Storage's classes whenever these are loaded
      def self.prepends
        { "ActiveStorage::Blobs::ProxyController" => Caching,
          "ActiveStorage::Representations::ProxyController" => Caching, "ActiveStorage::Streaming" => Sending }
      end

      # @param service [ActiveStorage::Service, nil]
      # @return [ActiveStorage::Service, nil] the service that serves its files: of a mirror the primary
      def self.serving(service)
        service = service.primary while service.respond_to?(:primary)
        service
      end

      # @param service [ActiveStorage::Service, nil]
      # @return [Boolean] whether its files are encrypted and not public; a mirror is judged by its primary
      def self.private?(service)
        encrypted?(service) && !serving(service).public?
      end

      # @param service [ActiveStorage::Service, nil]
      # @return [Boolean] whether its files are encrypted; a mirror is judged by its primary
      def self.encrypted?(service) = ServiceParts.encrypts?(serving(service))

      # For the proxies.
      module Caching
        private

        # Overrides ActionController::ConditionalGet: only the browser may cache decrypted files, for as long as the
        # link is valid, and it must revalidate them.
        def http_cache_forever(public: false, **options, &)
          blobs = [@blob, (@representation if @representation.respond_to?(:image))&.image].compact
          return super unless blobs.any? { |one| PrivateProxy.private?(one.service) }

          expires_in(link_lifetime, public: false)
          yield if stale?(etag: [request.fullpath, @blob.checksum], public: false)
        end

        # @return [Integer] seconds until the link of this request expires, at most `service_urls_expire_in`
        def link_lifetime
          longest = ActiveStorage.service_urls_expire_in.to_i
          return longest unless (expiry = SignedId.expiry(params[:signed_id] || params[:signed_blob_id]))

          (expiry - Time.now).floor.clamp(0, longest)
        end
      end

      # For all controllers that send blobs, including the application's own: responses are private, no database
      # connection is held while they are sent, and no more than some chunks are in memory.
      module Sending
        private

        def send_blob_stream(file, disposition: nil)
          keep_private(file)
          Connections.release
          return super unless encrypted?(file)

          blob = ProxiedBlob.of(file)
          return send_proxied(blob, nil, disposition) if blob

          proxied = ProxiedFile.new(file, self)
          super(proxied, disposition: disposition)
          proxied.raise_late
        end

        def send_blob_byte_range_data(file, range_header, disposition: nil)
          keep_private(file)
          Connections.release
          # Rails sends no parts of representations. Those of their original would be another file.
          blob = ProxiedBlob.of(file) if encrypted?(file)
          blob ? send_proxied(blob, range_header, disposition) : super
        end

        def send_proxied(blob, range, disposition)
          sent = ProxiedBlob.new(blob, range)
          return refuse_proxied(sent.status, sent.headers) unless sent.readable?

          self.status = sent.status
          response.headers.merge!(sent.headers)
          send_stream(**sent.description(disposition)) { sent.write_to(response) unless request.head? }
        rescue StandardError => e
          raise if response.committed?

          refuse_unreadable(e)
        ensure
          sent&.close
        end

        def refuse_unreadable(error)
          status = ProxiedFile.status_of(error)
          raise error if status == 500

          logger&.warn("#{error.class}: #{error.message}")
          refuse_proxied(status)
        end

        def refuse_proxied(status, headers = {})
          ProxiedFile.withdraw(self)
          head status, headers
        end

        def encrypted?(file) = PrivateProxy.encrypted?(blob_of(file).service)

        def keep_private(file)
          return unless PrivateProxy.private?(blob_of(file).service)

          response.headers.merge!(FileHeaders::UNBUFFERED)
          control = response.cache_control
          control.merge!(max_age: 0, must_revalidate: true) if control.empty? && response.headers["Cache-Control"].nil?
          control[:public] = false
        end

        # @param file [ActiveStorage::Blob, ActiveStorage::Attachment, Object] or one of its representations
        def blob_of(file) = file.respond_to?(:blob) ? file.blob : file
      end

      # For the classes of these controllers.
      module Streamed
        # Rails does not stream to clients of HTTP/1.0, such as nginx with its default settings. The server would send
        # the chunks that the action has written when the response begins, and nothing of the rest.
        # @param request [ActionDispatch::Request]
        # @return [ActionDispatch::Response]
        def make_response!(request)
          return super unless defined?(::ActiveStorage::Streaming) && include?(::ActiveStorage::Streaming)

          ActionController::Live::Response.new.tap { |response| response.request = request }
        end
      end

      # The expiry of a blob's signed id, which is stored in the message only (ActiveSupport::Messages::Metadata).
      module SignedId
        # @param signed_id [String] a verified signed id
        # @return [Time, nil] nil when it never expires; the current time when the expiry cannot be read
        def self.expiry(signed_id)
          text = signed_id.to_s.split("--").first.to_s
          envelope = JSON.parse(text.tr("-_", "+/").unpack1("m"))
          expiry = envelope.is_a?(Hash) && envelope.dig("_rails", "exp")
          Time.iso8601(expiry) if expiry
        rescue JSON::ParserError, ArgumentError, TypeError
          Time.now
        end
      end
    end
  end
end
