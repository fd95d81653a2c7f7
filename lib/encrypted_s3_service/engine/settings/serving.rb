# frozen_string_literal: true

module EncryptedS3Service
  class Engine
    # Settings for links and direct uploads.
    class Settings
      # Host of URLs that are made outside of a request: in jobs, mailers, broadcasts and consoles. Without it other
      # settings of the application are used; see {Serving::Host}.
      # @return [Hash{Symbol => Object}, nil] `host:` and other URL options (`protocol:`, `port:`, `script_name:`)
      setting :default_url_options, :url_options

      # Seconds until the URL of a video or audio file expires, in place of `service_urls_expire_in`: players request
      # one part after the other and continue with the same URL after a pause.
      # @return [Numeric, ActiveSupport::Duration] 6 hours by default
      setting :media_urls_expire_in, :seconds, default: 6.hours, within: (1..)

      # Slowest supported rate of a direct upload in bytes per second. The upload must begin within
      # `service_urls_expire_in`; the URL then stays valid for the time that the file takes at this rate.
      # @return [Integer] 65,536 by default: 2 GB can take 9 hours
      setting :direct_upload_slowest_rate, :integer, default: 64 * 1024, within: (1..)

      # Maximum number of requests of a process that wait for the first byte of a large file, because the file may have
      # to be fetched completely first. Others get 503 and `Retry-After`.
      # @return [Integer] 16 by default
      setting :large_reads_limit, :integer, default: 16, within: (1..)

      # Whether clients may upload directly. With `:token`, requests without a `service_token` get 403 unless the
      # current service encrypts, and the form helpers make tokens for all services.
      # @return [Boolean, Symbol] true by default
      setting :direct_uploads, :choice, default: true, one_of: [true, false, :token]

      # The largest file that a client may upload directly.
      # @return [Integer, nil] bytes; the limit of the format by default
      setting :direct_upload_limit, :integer, within: (0..)

      # Other origins whose pages may send direct uploads and read files by script (CORS).
      # @return [String, Regexp, Array<String, Regexp>, nil] for example `"https://app.example.com"`; `"*"` allows any;
      #   none by default. A Regexp must match the whole origin
      setting :cors_origins, :origins

      # Pages that may show files in a frame (the CSP directive `frame-ancestors`). `X-Frame-Options` is set accordingly
      # where it can express the same.
      # @return [String, Array<String>, nil] for example `["'self'", "https://portal.example.com"]`; by default only the
      #   application's `X-Frame-Options` applies
      setting :frame_ancestors, :frame_sources
    end
  end
end
