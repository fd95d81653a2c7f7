# frozen_string_literal: true

module EncryptedS3Service
  module Serving
    # Decrypted files on Rails' own routes: Active Storage's proxies let every cache keep what they answer, for a
    # hundred years (`http_cache_forever public: true`). A cache outside of the application, which is often the store's,
    # would keep the plaintext, after a purge and after the key is gone.
    # @api private
    module PrivateProxy
      # What is prepended to which of Active Storage's classes, each time that one is loaded.
      # @return [Hash{String => Module}]
      def self.prepends
        { "ActiveStorage::Blobs::ProxyController" => Caching,
          "ActiveStorage::Representations::ProxyController" => Caching, "ActiveStorage::Streaming" => Sending }
      end

      # @param service [ActiveStorage::Service, nil]
      # @return [Boolean] whether what it gives is decrypted and not public; of a mirror that is its primary's
      def self.private?(service)
        service = service.primary while service.respond_to?(:primary)
        service.is_a?(ActiveStorage::Service::EncryptedS3Service) && !service.public?
      end

      # For the proxies.
      module Caching
        private

        # As in Rails (ActionController::ConditionalGet); for decrypted files the visitor's browser may keep them, as
        # long as the link is good, and has to ask whether they have changed.
        def http_cache_forever(public: false, **options, &)
          blobs = [@blob, (@representation if @representation.respond_to?(:image))&.image].compact
          return super unless blobs.any? { |one| PrivateProxy.private?(one.service) }

          expires_in(link_lifetime, public: false)
          yield if stale?(etag: [request.fullpath, @blob.checksum], public: false)
        end

        # @return [Integer] seconds for which the link of this request is good, at most those of a file's own address
        def link_lifetime
          longest = ActiveStorage.service_urls_expire_in.to_i
          return longest unless (expiry = SignedId.expiry(params[:signed_id] || params[:signed_blob_id]))

          (expiry - Time.now).floor.clamp(0, longest)
        end
      end

      # For all controllers that send blobs, the application's own included: as in Rails, but private to caches, and
      # without a database connection meanwhile.
      module Sending
        private

        def send_blob_stream(blob, **)
          keep_private(blob)
          Connections.release
          super
        end

        def send_blob_byte_range_data(blob, *, **)
          keep_private(blob)
          Connections.release
          super
        end

        # @param blob [ActiveStorage::Blob, ActiveStorage::Attachment, Object] or one of its representations
        def keep_private(blob)
          blob = blob.blob if blob.respond_to?(:blob)
          return unless PrivateProxy.private?(blob.service)

          response.headers.merge!(FileHeaders::UNBUFFERED)
          control = response.cache_control
          control.merge!(max_age: 0, must_revalidate: true) if control.empty? && response.headers["Cache-Control"].nil?
          control[:public] = false
        end
      end

      # When the signed id of a blob ends, which only the message itself says (ActiveSupport::Messages::Metadata).
      module SignedId
        # @param signed_id [String] one that has been verified
        # @return [Time, nil] nil if it is good for ever; now, if it cannot be told
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
