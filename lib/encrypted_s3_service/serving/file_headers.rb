# frozen_string_literal: true

require_relative "content_type"

module EncryptedS3Service
  module Serving
    # Response headers of a decrypted file.
    class FileHeaders
      # Users upload files: a file that is opened as a page must not run scripts in the application's origin.
      POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src 'self'; media-src 'self'"
      # Chromium's PDF viewer does not start in a sandbox. It runs no script in the application's origin.
      UNSANDBOXED = %w[application/pdf].freeze
      # Seconds that responses of a public service may be cached.
      PUBLIC_AGE = 86_400
      private_constant :POLICY, :UNSANDBOXED, :PUBLIC_AGE

      # @param token [Hash{Symbol => Object}] the payload of the URL's token, see {Urls#blob}
      # @param public [Boolean] whether the service that has the file is public
      # @param settings [Engine::Settings]
      def initialize(token, public:, settings: EncryptedS3Service.settings)
        @token = token
        @public = public
        @ancestors = Array(settings.frame_ancestors)
      end

      # @return [String] the content type in the token, if it is a valid one; otherwise `application/octet-stream`
      def content_type = ContentType.safe(@token[:content_type])

      # @param file [#etag] one version of the object
      # @return [Hash{String => String}]
      def for(file)
        { "Content-Type" => content_type, "Content-Disposition" => disposition, "Accept-Ranges" => "bytes",
          "ETag" => etag(file), "Cache-Control" => cache_control, "X-Content-Type-Options" => "nosniff",
          "Content-Security-Policy" => policy, **UNBUFFERED }
      end

      # nginx would buffer a response to a slow client in temporary files, in plaintext, up to 1 GiB.
      UNBUFFERED = { "X-Accel-Buffering" => "no" }.freeze

      # The entity tag depends on the key and version of the object and does not reveal the key.
      # @param file [#etag]
      # @return [String] entity tag with quotes; the same in every process
      def etag(file) = %("#{OpenSSL::Digest::SHA256.hexdigest("#{@token[:key]}\0#{file.etag}").first(32)}")

      # @return [String, nil] `X-Frame-Options`; empty when it cannot express `frame_ancestors`; nil when that is not
      #   set
      def frame_options
        { ["'none'"] => "DENY", ["'self'"] => "SAMEORIGIN" }.fetch(@ancestors, "") if @ancestors.any?
      end

      private

      def disposition
        type = @token[:disposition].to_s[/\A(inline|attachment)/] || "inline"
        filename = ActiveStorage::Filename.wrap(@token[:filename].to_s).to_s.presence
        ActionDispatch::Http::ContentDisposition.format(disposition: type, filename: filename)
      end

      # `no-transform`: a response that a proxy compressed can neither be resumed nor seeked in.
      def cache_control
        return "public, max-age=#{PUBLIC_AGE}, no-transform" if @public && !@token[:expires_at]

        "private, max-age=#{private_age}, no-transform"
      end

      # A link of a private service may never expire: one made with `expires_in: nil`, or while the service was public.
      # @return [Integer] seconds that the client may keep the response
      def private_age
        return ActiveStorage.service_urls_expire_in.to_i unless @token[:expires_at]

        [(@token[:expires_at] - Time.now.to_f).floor, 0].max
      end

      def policy
        return [base_policy, "frame-ancestors #{@ancestors.join(" ")}"].join("; ") if @ancestors.any?

        base_policy
      end

      # The browser's own player fetches a media file again, which a sandbox without an origin does not allow. Scripts
      # stay forbidden.
      def base_policy
        return "default-src 'none'; object-src 'self'" if UNSANDBOXED.include?(ContentType.normal(content_type))

        "#{POLICY}; sandbox#{" allow-same-origin" if ContentType.media?(content_type)}"
      end
    end
  end
end
