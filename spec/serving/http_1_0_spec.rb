# frozen_string_literal: true

require_relative "../rails_helper"
require_relative "../support/puma_server"

# nginx speaks HTTP/1.0 to an application unless `proxy_http_version` is set.
RSpec.describe "A client of HTTP/1.0" do
  # The server has its own connection to the database.
  self.use_transactional_tests = false

  let(:data) { random_bytes(12.megabytes) }

  def answer_to(puma, path, headers)
    socket = puma.socket
    socket.write("GET #{path} HTTP/1.0\r\nHost: localhost\r\n#{headers}\r\n")
    head, body = socket.read.split("\r\n\r\n", 2)
    [head[/\AHTTP\S+ (\d+)/, 1].to_i, head[/^content-length: (\d+)/i, 1].to_i, body]
  ensure
    socket.close
  end

  it "gets whole files and parts, with their lengths, at a link and at Rails' proxy" do
    blob = ActiveStorage::Blob.create_and_upload!(io: StringIO.new(data), filename: "a.bin", identify: false,
                                                  service_name: "encrypted")
    link = ActiveStorage::Current.set(url_options: { host: "localhost" }) { URI(blob.url).path }
    proxy = Rails.application.routes.url_helpers.rails_storage_proxy_path(blob, only_path: true)
    PumaServer.run(threads: 2) do |puma|
      [link, proxy].each do |path|
        status, length, body = answer_to(puma, path, "")
        expect([status, length]).to eq([200, data.bytesize])
        expect(body).to be_bytes(data)
        status, length, body = answer_to(puma, path, "Range: bytes=5-\r\n")
        expect([status, length]).to eq([206, data.bytesize - 5])
        expect(body).to be_bytes(data.byteslice(5..))
      end
    end
  ensure
    blob&.purge
  end
end
