# frozen_string_literal: true

module EncryptedS3Service
  class Engine
    # Settings of links and direct uploads.
    class Settings
      # The host of addresses that are made outside of a request: in jobs, mailers, broadcasts and consoles. Without it
      # the application's other settings are asked; see {Serving::Host}.
      # @return [Hash{Symbol => Object}, nil] `host:`, and what else the routes take (`protocol:`, `port:`,
      #   `script_name:`)
      setting :default_url_options, :url_options

      # Seconds for which the address of a film or a recording is good, whatever `service_urls_expire_in` says of other
      # files: players ask for one part after the other, and after a pause they go on with the same address.
      # @return [Numeric, ActiveSupport::Duration] 6 hours by default
      setting :media_urls_expire_in, :seconds, default: 6.hours, within: (1..)

      # Bytes per second of the slowest line on which a direct upload may take its time. The address for it has to be
      # used within `service_urls_expire_in`, and is good for as much longer as the file takes at this rate.
      # @return [Integer] 65,536 by default: 2 GB may take 9 hours
      setting :direct_upload_slowest_rate, :integer, default: 64 * 1024, within: (1..)

      # How many requests of a process may wait at once for the first byte of a large file, which may have to be fetched
      # whole before. Others are answered with 503 and `Retry-After`.
      # @return [Integer] 16 by default
      setting :large_reads_limit, :integer, default: 16, within: (1..)

      # Whether clients may upload directly at all. `:token` answers those that show no `service_token` with 403, unless
      # the service that is in force encrypts; the form helpers make tokens for all services then.
      # @return [Boolean, Symbol] true by default
      setting :direct_uploads, :choice, default: true, one_of: [true, false, :token]

      # The largest file that a client may upload directly.
      # @return [Integer, nil] bytes; what the format can hold by default
      setting :direct_upload_limit, :integer, within: (0..)

      # Other origins whose pages may send direct uploads here and read files by script (CORS).
      # @return [String, Regexp, Array<String, Regexp>, nil] for example `"https://app.example.com"`; `"*"` is any; none
      #   by default. A Regexp has to match the whole origin
      setting :cors_origins, :origins

      # Which pages may show files in a frame (the CSP directive `frame-ancestors`). With it the header
      # `X-Frame-Options` says the same as far as it can.
      # @return [String, Array<String>, nil] for example `["'self'", "https://portal.example.com"]`; by default the
      #   application's `X-Frame-Options` holds and nothing else
      setting :frame_ancestors, :frame_sources
    end
  end
end
