# frozen_string_literal: true

require_relative "../rails_helper"
require_relative "../support/mutations"

RSpec.describe "Any Range header", type: :request do
  include Mutations

  ranges = EncryptedS3Service::Serving::ByteRanges
  headers = ["bytes=0-0", "bytes=0-", "bytes=-5", "bytes=10-19", "bytes=0-4,10-14", "bytes=90-200", "bytes=100-",
             "bytes=-0", "bytes=0-0,-1", "bytes= 1 - 2 , 4-5", "Bytes=1-2", "items=0-1", "bytes=5-2",
             "bytes=#{"0-0," * 40}1-1", "bytes=0-18446744073709551616", ""]

  it "returns only bytes of the file, with their positions" do
    allow(ranges).to receive(:limit).with(:streaming_max_ranges).and_return(5)
    allow(ranges).to receive(:limit).with(:streaming_chunk_max_size).and_return(1000)
    tried = mutations(headers, runs: 20_000) do |header|
      [0, 1, 100].each do |size|
        answer = ranges.new(header, size, "text/plain")
        next if answer.refused?

        bytes = answer.pieces.grep(Range)
        expect(bytes).to all(satisfy { |range| range.begin >= 0 && range.begin <= range.end && range.end < size })
        expect(bytes.each_cons(2)).to all(satisfy { |one, next_one| one.end + 1 < next_one.begin })
        length = answer.pieces.sum { |piece| piece.is_a?(Range) ? piece.size : piece.bytesize }
        expect(answer.headers["Content-Length"]).to eq(length.to_s)
        expect(bytes).to eq(size.zero? ? [] : [0..(size - 1)]) if answer.status == 200
        next unless answer.headers["Content-Range"]

        expect(answer.headers["Content-Range"]).to eq("bytes #{bytes.first.begin}-#{bytes.first.end}/#{size}")
      end
    end
    expect(tried).to be > 1000
  end

  it "is estimated correctly before the size is known, or not at all" do
    mutations(headers, runs: 20_000) do |header|
      likely = ranges.likely(header)
      next unless likely

      answer = ranges.new(header, 100, "text/plain")
      sent = answer.refused? ? [] : answer.pieces.grep(Range)
      expect(sent).to all(satisfy { |range| likely.cover?(range) })
    end
  end

  it "is answered with the right bytes or with 416, at a link and at Rails' proxy" do
    data = random_bytes(100)
    blob = ActiveStorage::Blob.create_and_upload!(io: StringIO.new(data), filename: "a.txt", identify: false,
                                                  content_type: "text/plain", service_name: "encrypted")
    link = URI(ActiveStorage::Current.set(url_options: { host: "www.example.com" }) { blob.url }).path
    mutations(headers, runs: 300) do |header|
      # Rails' controller itself raises for a text in invalid UTF-8.
      { link => header, rails_storage_proxy_path(blob) => header.b }.each do |path, range|
        get path, headers: { "Range" => range }
        expect(response.status).to be_in([200, 206, 416])
        expect(response.body.b).to eq(data) if response.status == 200
        first, last = response.headers["content-range"].to_s.match(%r{\Abytes (\d+)-(\d+)/100\z})&.captures
        expect(response.body.b).to eq(data.byteslice(first.to_i..last.to_i)) if first
      end
    end
  end
end
