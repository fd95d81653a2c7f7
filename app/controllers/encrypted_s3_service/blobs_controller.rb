# frozen_string_literal: true

module EncryptedS3Service
  # Serves decrypted files: the whole or ranges, to whoever has a token that is valid (as ActiveStorage::DiskController
  # does for files that are not encrypted).
  class BlobsController < BaseController
    # Files come from anybody: one that is opened as a page must not run anything in the application's name.
    POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src 'self'; media-src 'self'"
    # Chromium's PDF viewer does not start in a sandbox, and runs no script of the application's origin anyway.
    UNSANDBOXED = %w[application/pdf].freeze
    # What is opened by itself is played by a page of the browser's own, which fetches it again; in a sandbox without an
    # origin it may not. Scripts stay forbidden.
    PLAYED = %w[video/ audio/].freeze
    # Seconds that answers of a public service may be kept.
    PUBLIC_AGE = 86_400
    private_constant :POLICY, :UNSANDBOXED, :PLAYED, :PUBLIC_AGE

    # Answers 200 or 206 with the file, 304 if the client has it, 404 to a token that is not valid or a file that is not
    # there, 416 to a range that is not there.
    # @return [void]
    def show
      @token, @service = token_and_service(Serving::Token::BLOB)
      return not_found unless @token

      # What needs no byte of the file is answered without reading any.
      request.head? || known_versions.any? ? show_head : show_file(@service.reader(key))
    end

    private

    def key = @token[:key]

    def show_head
      stat = @service.stat(key)
      return not_modified(stat) if known?(stat)
      return show_file(@service.reader(key)) unless request.head?

      describe(stat)
      response.headers["Content-Length"] = stat.size.to_s
      head :ok, content_type: content_type
    end

    # @param file [Reader] closed here unless it becomes the body
    def show_file(file)
      ranges = Serving::ByteRanges.new(wanted_range(file), file.size)
      if ranges.refused?
        file.close
        return refuse(416, "Content-Range" => "bytes */#{file.size}")
      end
      return send_several(file, ranges.to_a) if !ranges.whole? && ranges.several?

      send_one(file, ranges)
    end

    def send_one(file, ranges)
      range = ranges.first
      body = Serving::Body.new(file, range)
      describe(file)
      unless ranges.whole?
        self.status = 206
        response.headers["Content-Range"] = content_range(range, file)
      end
      response.headers["Content-Length"] = range.size.to_s
      release_connections
      self.response_body = body
    end

    # Limited to what Active Storage's proxy would hold in memory, and held in memory as there.
    def send_several(file, ranges)
      file.close
      boundary = SecureRandom.hex
      parts = ranges.map do |range|
        head = ["", "--#{boundary}", "Content-Type: #{content_type}", "Content-Range: #{content_range(range, file)}"]
        "#{head.join("\r\n")}\r\n\r\n".b << @service.download_chunk(key, range)
      end
      data = parts.join << "\r\n--#{boundary}--\r\n"
      describe(file, type: "multipart/byteranges; boundary=#{boundary}")
      response.headers["Content-Length"] = data.bytesize.to_s
      self.status = 206
      self.response_body = data
    end

    def not_modified(stat)
      describe(stat)
      head :not_modified
    end

    def describe(file, type: content_type)
      response.headers.merge!(
        "Content-Type" => type, "Content-Disposition" => @token[:disposition] || "inline",
        "Accept-Ranges" => "bytes", "ETag" => etag(file), "Cache-Control" => cache_control,
        "X-Content-Type-Options" => "nosniff", "Content-Security-Policy" => policy
      )
    end

    def content_type = @token[:content_type].presence || "application/octet-stream"

    def content_range(range, file) = "bytes #{range.begin}-#{range.end}/#{file.size}"

    # `no-transform`: what is compressed on its way can neither be resumed nor sought in.
    def cache_control
      expires_at = @token[:expires_at]
      return "public, max-age=#{PUBLIC_AGE}, no-transform" unless expires_at

      "private, max-age=#{[expires_at - Time.now.to_i, 0].max}, no-transform"
    end

    def policy
      return "default-src 'none'; object-src 'self'" if UNSANDBOXED.include?(content_type)

      "#{POLICY}; sandbox#{" allow-same-origin" if content_type.start_with?(*PLAYED)}"
    end

    # Of the version and not of the name: the object's key stays in here, and an object that was replaced has another.
    def etag(file) = %("#{OpenSSL::Digest::SHA256.hexdigest("#{key}\0#{file.etag}").first(32)}")

    # @return [Array<String>] entity tags that the client has, without what a proxy does to them
    def known_versions
      request.if_none_match.to_s.split(",").map { |tag| tag.strip.delete_prefix("W/") }
    end

    def known?(file) = known_versions.intersect?(["*", etag(file)])

    # A client that has a part of another version gets the whole.
    def wanted_range(file)
      condition = request.get_header("HTTP_IF_RANGE")
      request.get_header("HTTP_RANGE") if condition.nil? || condition == etag(file)
    end

    # A client may take its time; the database has nothing to do with that.
    def release_connections
      return unless defined?(ActiveRecord::Base)

      ActiveRecord::Base.connection_handler.each_connection_pool do |pool|
        pool.release_connection if pool.active_connection? && !pool.active_connection?.transaction_open?
      end
    end
  end
end
