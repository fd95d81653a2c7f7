# frozen_string_literal: true

require_relative "content_type"

module EncryptedS3Service
  module Serving
    # What an answer says of a decrypted file.
    class FileHeaders
      # Files come from anybody: one that is opened as a page must not run anything in the application's name.
      POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src 'self'; media-src 'self'"
      # Chromium's PDF viewer does not start in a sandbox, and runs no script of the application's origin anyway.
      UNSANDBOXED = %w[application/pdf].freeze
      # Seconds that answers of a public service may be kept.
      PUBLIC_AGE = 86_400
      private_constant :POLICY, :UNSANDBOXED, :PUBLIC_AGE

      # @param token [Hash{Symbol => Object}] what the address carries, see {Urls#blob}
      # @param settings [Engine::Settings]
      def initialize(token, settings = EncryptedS3Service.settings)
        @token = token
        @ancestors = Array(settings.frame_ancestors)
      end

      # @return [String] what a token says that was made for a client's file, if it can be a type
      def content_type = ContentType.safe(@token[:content_type])

      # @param file [#etag] one version of the object
      # @return [Hash{String => String}]
      def for(file)
        { "Content-Type" => content_type, "Content-Disposition" => disposition, "Accept-Ranges" => "bytes",
          "ETag" => etag(file), "Cache-Control" => cache_control, "X-Content-Type-Options" => "nosniff",
          "Content-Security-Policy" => policy, **UNBUFFERED }
      end

      # nginx would keep an answer that a client takes slowly, in plaintext, in files of its own, and would stop after
      # 1 GiB of it.
      UNBUFFERED = { "X-Accel-Buffering" => "no" }.freeze

      # Of the version and not of the name: the object's key stays in here, and an object that was replaced has another.
      # @param file [#etag]
      # @return [String] the same for the same version in every process and at any time
      def etag(file) = %("#{OpenSSL::Digest::SHA256.hexdigest("#{@token[:key]}\0#{file.etag}").first(32)}")

      # @return [String, nil] X-Frame-Options, where the setting has something to say
      def frame_options
        { ["'none'"] => "DENY", ["'self'"] => "SAMEORIGIN" }.fetch(@ancestors, "") if @ancestors.any?
      end

      private

      def disposition
        type = @token[:disposition].to_s[/\A(inline|attachment)/] || "inline"
        filename = ActiveStorage::Filename.wrap(@token[:filename].to_s).to_s.presence
        ActionDispatch::Http::ContentDisposition.format(disposition: type, filename: filename)
      end

      # `no-transform`: what is compressed on its way can neither be resumed nor sought in.
      def cache_control
        expires_at = @token[:expires_at]
        return "public, max-age=#{PUBLIC_AGE}, no-transform" unless expires_at

        "private, max-age=#{[(expires_at - Time.now.to_f).floor, 0].max}, no-transform"
      end

      def policy
        return [base_policy, "frame-ancestors #{@ancestors.join(" ")}"].join("; ") if @ancestors.any?

        base_policy
      end

      # What is opened by itself is played by a page of the browser's own, which fetches it again; in a sandbox without
      # an origin it may not. Scripts stay forbidden.
      def base_policy
        return "default-src 'none'; object-src 'self'" if UNSANDBOXED.include?(ContentType.normal(content_type))

        "#{POLICY}; sandbox#{" allow-same-origin" if ContentType.media?(content_type)}"
      end
    end
  end
end
