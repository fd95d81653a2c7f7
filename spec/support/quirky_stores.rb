# frozen_string_literal: true

require "time"
require_relative "fault_proxy"

# The real S3 server, but its clock is wrong.
class SkewedStore < FaultProxy
  # @param backend [URI]
  # @param seconds [Integer] ahead of our clock
  def initialize(backend, seconds)
    @seconds = seconds
    super(backend)
  end

  private

  def forward(request)
    head, body = super
    [head.sub(/^date:[^\r]*/i, "Date: #{(Time.now + @seconds).httpdate}"), body]
  end
end

# The real S3 server, but its clock is wrong, and it refuses requests that were signed for another time than its own.
class StrictlyTimedStore < SkewedStore
  TOLERANCE = 300

  private

  def forward(request)
    signed = Time.strptime(request.headers.fetch("x-amz-date"), "%Y%m%dT%H%M%S%Z")
    return super if (Time.now + @seconds - signed).abs < TOLERANCE

    # An answer to HEAD has no body.
    text = request.verb == "HEAD" ? "" : "<Error><Code>RequestTimeTooSkewed</Code></Error>"
    date = (Time.now + @seconds).httpdate
    ["HTTP/1.1 403 Forbidden\r\nDate: #{date}\r\nContent-Length: #{text.bytesize}\r\n\r\n", text]
  end
end

# The real S3 server, but it refuses uploads with an unknown checksum, as some stores do.
class ChecksumRefusingStore < FaultProxy
  REFUSAL = { status: 400, answer: "<Error><Code>InvalidArgument</Code></Error>" }.freeze

  private

  def forward(request)
    checksummed = request.headers.keys.grep(/\Ax-amz-(checksum-crc|sdk-checksum-|trailer)/).any?
    checksummed ? answer(REFUSAL) : super
  end
end

# The real S3 server, but it returns objects without authentication.
class OpenStore < FaultProxy
  def initialize(backend, server)
    @server = server
    super(backend)
  end

  private

  def forward(request)
    return super if request.verb != "GET" || request.headers.key?("authorization") || request.target == "/"

    _status, _headers, body = @server.get(*request.target.delete_prefix("/").split("/", 2))
    ["HTTP/1.1 200 OK\r\ncontent-length: #{body.bytesize}\r\n\r\n", body]
  end
end

# The real S3 server, but all parts of an upload except the last must have the same size, and the last may not be
# larger, as at Cloudflare R2.
class EqualPartsStore < FaultProxy
  REFUSAL = { status: 400, answer: "<Error><Code>InvalidPart</Code></Error>" }.freeze

  private

  def forward(request)
    return super unless request.operation == "CompleteMultipartUpload"

    id = request.target[/uploadId=([^&]+)/, 1]
    sizes = requests("UploadPart").select { |part| part.target.include?(id) }.to_h { |part| [part.part, part.bytesize] }
    *others, last = sizes.sort.map(&:last)
    others.uniq.size > 1 || last > others.first.to_i ? answer(REFUSAL) : super
  end
end

# The real S3 server, but it answers 200 to a copy of an object onto itself and changes nothing.
class CopyIgnoringStore < FaultProxy
  private

  def forward(request)
    return super unless request.headers.key?("x-amz-copy-source")

    answer(status: 200, answer: "<CopyObjectResult><ETag>&quot;0&quot;</ETag></CopyObjectResult>")
  end
end

# The real S3 server, but it copies an object with new metadata without its tags, as Ceph does.
class TagForgettingStore < FaultProxy
  private

  def forward(request)
    copied = request.headers.key?("x-amz-copy-source") && request.headers["x-amz-tagging-directive"] != "REPLACE"
    super.tap { TestStore.server.forget_tags(request.target[%r{\A/([^?]+)}, 1]) if copied }
  end
end

# The real S3 server, but requests that match a rule get another answer.
class RefusingStore < FaultProxy
  # @param backend [URI]
  # @param refusal [#call] called with a request; returns nil, or an action of {FaultProxy#fault}
  def initialize(backend, refusal)
    @refusal = refusal
    super(backend)
  end

  private

  def forward(request)
    refused = @refusal.call(request)
    refused ? answer(refused) : super
  end
end

# The real S3 server, but its answers are altered on the way.
class AlteringStore < FaultProxy
  # @param backend [URI]
  # @param alter [#call] called with a request, and the head and the body of its answer; returns head and body, or nil
  #   to leave them
  def initialize(backend, alter)
    @alter = alter
    super(backend)
  end

  private

  def forward(request)
    head, body = super
    @alter.call(request, head, body) || [head, body]
  end
end

# The real S3 server, but it sends the checksum of the whole object with every range, as Ceph does.
class WholeChecksumStore < FaultProxy
  def initialize(*)
    @checksums = {}
    super
  end

  private

  def forward(request)
    head, body = super
    if request.verb == "GET" && request.headers["x-amz-checksum-mode"]
      checksum = [Zlib.crc32(whole(request))].pack("N")
      head = head.sub("\r\n\r\n", "\r\nx-amz-checksum-crc32: #{[checksum].pack("m0")}\r\n\r\n")
    end
    [head, body]
  end

  def whole(request)
    @checksums[request.target] ||= TestStore.server.get(*request.target[%r{\A/([^?]+)}, 1].split("/", 2)).last
  end
end

# The real S3 server, but bits flip in transit. Each answer has the checksum of the original bytes.
class FlippingStore < FaultProxy
  # How many of the next bodies are changed.
  attr_accessor :flips

  private

  def forward(request)
    head, body = super
    return [head, body] unless request.verb == "GET" && request.headers["x-amz-checksum-mode"]

    head = head.sub("\r\n\r\n", "\r\nx-amz-checksum-crc32: #{[[Zlib.crc32(body)].pack("N")].pack("m0")}\r\n\r\n")
    if flips.to_i.positive?
      self.flips -= 1
      body = body.b.tap { |bytes| bytes.setbyte(bytes.bytesize / 2, bytes.getbyte(bytes.bytesize / 2) ^ 1) }
    end
    [head, body]
  end
end

# The real S3 server behind a proxy that removes the size from answers to HEAD.
class SizelessStore < FaultProxy
  private

  def forward(request)
    head, body = super
    request.verb == "HEAD" ? [head.sub(/^content-length:[^\r]*\r\n/i, ""), body] : [head, body]
  end
end

# The real S3 server behind a proxy that removes the range from requests.
class RangelessStore < FaultProxy
  private

  def forward(request)
    head, body = super
    return [head, body] unless request.range && head.start_with?("HTTP/1.1 206")

    body = TestStore.server.get(*request.target[%r{\A/([^?]+)}, 1].split("/", 2)).last
    head = head.sub("206 Partial Content", "200 OK").sub(/^content-range:[^\r]*\r\n/i, "")
    [head.sub(/^content-length:[^\r]*/i, "Content-Length: #{body.bytesize}"), body]
  end
end

# The real S3 server, but after {#change_byte} it returns every object with one changed byte.
class ChangingStore < FaultProxy
  # @param position [Integer] of the byte in the stored object
  def change_byte(position)
    @position = position
  end

  private

  def forward(request)
    head, body = super
    first, last = request.range
    if @position && request.verb == "GET" && first && (first..last).cover?(@position)
      body.setbyte(@position - first, body.getbyte(@position - first) ^ 1)
    end
    [head, body]
  end
end
