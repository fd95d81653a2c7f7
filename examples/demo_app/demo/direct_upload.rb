# frozen_string_literal: true

module Demo
  # Stores a file as a browser does with `direct_upload: true` in the form.
  class DirectUpload
    NAME = "From a browser.txt"
    TYPE = "text/plain"
    private_constant :NAME, :TYPE

    # @param workplace [Workplace]
    # @param visitor [Visitor]
    # @param url [String] of the application
    def initialize(workplace, visitor, url)
      @workplace = workplace
      @visitor = visitor
      @url = url
      @data = "Nobody but the application sees this. #{SecureRandom.hex}\n" * 20_000
    end

    # @param checks [Checks]
    # @return [void]
    def check(checks)
      blob = announce(checks)
      refuse(checks, blob, "other bytes", @data.reverse)
      refuse(checks, blob, "fewer bytes", @data[0...-1])
      store(checks, blob)
      attach(checks, blob)
    end

    private

    def announce(checks)
      answer = @visitor.post_json("/rails/active_storage/direct_uploads", { blob: {
                                    filename: NAME, content_type: TYPE, byte_size: @data.bytesize,
                                    checksum: OpenSSL::Digest::MD5.base64digest(@data)
                                  } })
      raise Workplace::Error, "the application answered #{answer.code}" unless answer.code == "200"

      blob = JSON.parse(answer.body)
      address = blob["direct_upload"]["url"]
      checks.add("announced: the upload URL is the application's, not S3's",
                 ("it is at #{URI(address).host}" unless address.start_with?("#{@url}/")))
      blob
    end

    def refuse(checks, blob, what, data)
      code = send_file(blob, data).code
      left = in_bucket(blob)[0] == 200
      checks.add("#{what} than announced: refused, nothing is in the bucket",
                 ("the answer is #{code}#{", and stored" if left}" if code != "422" || left))
    end

    def store(checks, blob)
      code = send_file(blob, @data).code
      checks.add("sent: the application accepts the file", ("the answer is #{code}" unless code == "204"))
      _, headers, body = in_bucket(blob)
      encrypted = headers.key?("x-amz-meta-x-amz-key-v2") && body.bytesize == @data.bytesize + BucketObject::TAG
      checks.add("in the bucket: encrypted", ("it is not" if !encrypted || body.include?(@data[0, 16])))
    end

    def attach(checks, blob)
      code = @visitor.submit("/documents", "files[]" => blob["signed_id"]).code
      checks.add("the form contains the file: it is attached", ("the answer is #{code}" unless code == "302"))
      file = Document.newest_first.first.file
      same = file.key == blob["key"] && file.download == @data.b
      checks.add("read back: byte for byte", ("it has other bytes" unless same))
    end

    def send_file(blob, data) = @visitor.put(blob["direct_upload"]["url"], data, blob["direct_upload"]["headers"])

    def in_bucket(blob) = @workplace.server.get(@workplace.bucket, blob["key"])
  end
end
