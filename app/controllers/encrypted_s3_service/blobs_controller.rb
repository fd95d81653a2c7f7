# frozen_string_literal: true

module EncryptedS3Service
  # Serves decrypted files, whole or in ranges, to clients with a valid token (as ActiveStorage::DiskController does for
  # plaintext files).
  class BlobsController < BaseController
    # Responds with 200 or 206 and the file; 304 when the client has it; 404 when the token is not valid or the file
    # does not exist; 412 when the client requires another version; 416 when the range is outside of the file; 503 when
    # too many large files are open.
    # @return [void]
    def show
      token, @service = token_and_service(Serving::Token::BLOB)
      return not_found unless token

      @key = token[:key]
      @headers = Serving::FileHeaders.new(token, public: @service.public?)
      @conditions = Serving::Conditions.new(request)
      Serving::Connections.release
      # Requests that need no content are answered without reading the file.
      request.head? || @conditions.any? ? show_head : show_file
    end

    private

    # A response that every cache may keep must not have a cookie that a callback of the application set for one visitor
    # (CVE-2024-26144). The middleware does not write a jar that is committed.
    def process_action(*)
      super.tap { request.cookie_jar.commit! if response.headers["Cache-Control"].to_s.include?("public") }
    end

    def show_head
      stat = @service.stat(@key)
      etag = @headers.etag(stat)
      return refuse(412) if @conditions.refuse?(etag)

      describe(stat)
      return head(:not_modified) if @conditions.known?(etag)
      return show_file unless request.head?

      response.headers["Content-Length"] = ((stat.size if stat.format) || size_by_reading).to_s
      # `head` would remove the charset from the content type.
      self.response_body = ""
    end

    def show_file
      file = opened_file
      etag = @headers.etag(file)
      return refuse(412) if @conditions.refuse?(etag)

      ranges = Serving::ByteRanges.new(@conditions.range(etag), file.size, @headers.content_type)
      return refuse(416, ranges.refusal) if ranges.refused?

      body = Serving::LargeReads.limited(file.size) { Serving::Body.new(file, ranges.pieces) }
      return refuse_for_now unless body

      self.status = ranges.status
      describe(file, ranges.headers)
      hand_over(body)
      Serving::Connections.release
    ensure
      file&.close unless body
    end

    def opened_file
      @service.reader(@key, likely: Serving::ByteRanges.likely(request.get_header("HTTP_RANGE")))
    end

    def describe(file, more = {})
      response.headers.merge!(@headers.for(file).merge(more))
      options = @headers.frame_options
      response.headers["X-Frame-Options"] = options if options
      response.headers.delete("X-Frame-Options") if options == ""
    end

    # The metadata of a legacy object may lack its plaintext size, and HEAD does not read instruction files.
    def size_by_reading
      file = @service.reader(@key)
      file.size
    ensure
      file&.close
    end
  end
end
