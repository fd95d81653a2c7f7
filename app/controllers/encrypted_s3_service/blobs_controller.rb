# frozen_string_literal: true

module EncryptedS3Service
  # Serves decrypted files: the whole or ranges, to whoever has a token that is valid (as ActiveStorage::DiskController
  # does for files that are not encrypted).
  class BlobsController < BaseController
    # Answers 200 or 206 with the file, 304 if the client has it, 404 to a token that is not valid or a file that is not
    # there, 416 to a range that is not there.
    # @return [void]
    def show
      token, @service = token_and_service(Serving::Token::BLOB)
      return not_found unless token

      @key = token[:key]
      @headers = Serving::FileHeaders.new(token)
      @conditions = Serving::Conditions.new(request)
      Serving::Connections.release
      # What needs no byte of the file is answered without reading any.
      request.head? || @conditions.any? ? show_head : show_file
    end

    private

    def show_head
      stat = @service.stat(@key)
      describe(stat)
      return head(:not_modified) if @conditions.known?(@headers.etag(stat))
      return show_file unless request.head?

      response.headers["Content-Length"] = ((stat.size if stat.format) || size_by_reading).to_s
      # Not by `head`, which would take a charset out of the type.
      self.response_body = ""
    end

    def show_file
      file = @service.reader(@key)
      ranges = Serving::ByteRanges.new(@conditions.range(@headers.etag(file)), file.size, @headers.content_type)
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

    def describe(file, more = {})
      response.headers.merge!(@headers.for(file).merge(more))
      options = @headers.frame_options
      response.headers["X-Frame-Options"] = options if options
      response.headers.delete("X-Frame-Options") if options == ""
    end

    # The writer of a legacy object may not have noted how large it is, and an instruction file is not looked at for it.
    def size_by_reading
      file = @service.reader(@key)
      file.size
    ensure
      file&.close
    end
  end
end
