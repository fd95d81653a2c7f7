# frozen_string_literal: true

require_relative "../support/quirky_stores"

# Stores that speak S3 in their own way.
RSpec.describe EncryptedS3Service::Client, "before a fussy store" do
  let(:mebibyte) { TestStore::MEBIBYTE }
  let(:key) { unique_key }

  def client_of(proxy, **settings) = new_client(endpoint: proxy.endpoint, retry_limit: 0, **settings)

  describe "that takes no part larger than the first (Cloudflare R2)" do
    let(:upload) { { multipart_threshold: 5 * mebibyte, part_size: 5 * mebibyte } }

    # The tag has 16 bytes, and the part size is a multiple of 16.
    [17, 16, 15, 8, 1, 0, -1].each do |below|
      it "stores a file of #{below} bytes below a multiple of the part size" do
        EqualPartsStore.run(server.endpoint) do |proxy|
          client_of(proxy, upload: upload).upload(key, StringIO.new(data = random_bytes((10 * mebibyte) - below)))
          expect(stored_plaintext(key)).to be_bytes(data)
          sizes = proxy.requests("UploadPart").sort_by(&:part).map(&:bytesize)
          expect(sizes[..-2].uniq).to eq([5 * mebibyte])
          expect(sizes.last).to be_between(1, 5 * mebibyte)
        end
      end
    end
  end

  describe "that answers 200 to a copy and changes nothing" do
    let(:new_settings) { { encryption_key: "n" * 32, encryption_key_id: "2026" } }
    let(:rotation) { { **new_settings, decryption_keys: { TestStore::KEY_ID => TestStore::KEY } } }

    it "says that the object was not rotated, when asked to verify" do
      new_client.upload(key, StringIO.new("data"))
      CopyIgnoringStore.run(server.endpoint) do |proxy|
        expect { client_of(proxy, **rotation).rotate(key, verify: true) }
          .to raise_error(EncryptedS3Service::NotRotatedError, /#{Regexp.escape(key)}.*Do not remove the old key/) { |e|
            expect(e.code).to eq("not-rotated")
          }
      end
      expect(new_client.download(key)).to eq("data")
    end

    it "says nothing when the envelope is really new" do
      new_client.upload(key, StringIO.new("data"))
      FaultProxy.run(server.endpoint) do |proxy|
        expect(client_of(proxy, **rotation).rotate(key, verify: true)).to have_attributes(outcome: :rotated)
        expect(proxy.requests.map(&:verb)).to eq(%w[HEAD HEAD PUT HEAD])
      end
      expect(new_client(**new_settings).download(key)).to eq("data")
    end
  end
end
