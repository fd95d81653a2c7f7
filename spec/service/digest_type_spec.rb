# frozen_string_literal: true

require_relative "../rails_helper"

# Rails' S3Service has this setting from 8.2 on. Here it works in the same way, on a Rails that asks the service.
RSpec.describe ActiveStorage::Service::EncryptedS3Service, "with default_digest_type" do
  asks = ActiveStorage::Service.method_defined?(:compute_checksum)

  # The dummy application's services and one more, `hashed`.
  def with_service(**settings)
    before = ActiveStorage::Blob.services
    entries = Rails.configuration.active_storage.service_configurations
    hashed = entries.fetch("encrypted").merge(settings.transform_keys(&:to_s))
    mirror = { "service" => "Mirror", "primary" => "hashed", "mirrors" => ["elsewhere"] }
    all = entries.merge("hashed" => hashed, "hashed_mirror" => mirror)
    ActiveStorage::Blob.services = ActiveStorage::Service::Registry.new(all)
    yield
  ensure
    ActiveStorage::Blob.services = before
  end

  def upload(data, service_name: "hashed")
    ActiveStorage::Blob.create_and_upload!(io: StringIO.new(data), filename: "a.bin", service_name: service_name)
  end

  def sha256(data) = "sha256:#{[OpenSSL::Digest.digest("SHA256", data)].pack("m0")}"

  it "uses md5 by default" do
    with_service do
      blob = upload("x")
      expect([blob.checksum, blob.service.default_digest_type]).to eq([md5("x"), :md5])
      expect(blob.service.default_digest_class).to eq(OpenSSL::Digest::MD5)
    end
  end

  it "accepts md5 on every Rails version" do
    with_service(default_digest_type: :md5) { expect(upload("x").checksum).to eq(md5("x")) }
  end

  unless asks
    it "refuses sha256 if Rails computes the checksums itself, and names the Rails version" do
      with_service(default_digest_type: "sha256") do
        expect { ActiveStorage::Blob.services.fetch(:hashed) }
          .to raise_error(EncryptedS3Service::ConfigurationError,
                          /\Adefault_digest_type cannot be sha256 with Rails #{ActiveStorage.version}, .*Rails 8\.2/)
      end
    end
  end

  if asks
    context "of sha256" do
      around { |example| with_service(default_digest_type: "SHA256") { example.run } }

      # Of the service `elsewhere`.
      before(:context) { TestStore.server.create_bucket("#{TestStore::BUCKET}-elsewhere") }

      let(:service) { ActiveStorage::Blob.services.fetch(:hashed) }

      [0, 1000, 6 << 20].each do |size|
        it "stores #{size} bytes with a SHA-256 checksum and compares it" do
          blob = upload(data = random_bytes(size))
          expect(blob.checksum).to eq(sha256(data))
          expect(blob.open(&:read)).to be_bytes(data)
          expect(blob.download).to be_bytes(data)
        end
      end

      it "answers Rails' questions about digests like Rails' own service" do
        expect(service.default_digest_type).to eq(:sha256)
        expect([service.default_digest_class, service.checksum_implementation,
                service.checksum_implementation(check_digest_type: :md5)])
          .to eq([OpenSSL::Digest::SHA256, OpenSSL::Digest::SHA256, OpenSSL::Digest::MD5])
        expect { service.checksum_implementation(check_digest_type: :crc32) }
          .to raise_error(ActiveStorage::IntegrityError, /crc32/)
      end

      it "rewinds the io of a new file, and stores unencrypted files too" do
        Tempfile.create do |file|
          file.write("a file")
          file.rewind
          blob = ActiveStorage::Blob.create_and_upload!(io: file, filename: "a", service_name: "hashed")
          expect([blob.checksum, blob.download]).to eq([sha256("a file"), "a file"])
        end
      end

      it "refuses bytes that do not match the checksum of the database, and stores nothing" do
        blob = ActiveStorage::Blob.create!(key: SecureRandom.hex, filename: "x", byte_size: 1,
                                           checksum: sha256("other"), service_name: "hashed")
        expect { blob.upload_without_unfurling(StringIO.new("x")) }.to raise_error(ActiveStorage::IntegrityError)
        expect(server.head(bucket, blob.key)[0]).to eq(404)
      end

      it "refuses to open a file that was replaced by another" do
        one = upload("one")
        other = upload("other")
        service.upload(one.key, StringIO.new(other.download))
        expect { one.open { raise "opened" } }.to raise_error(ActiveStorage::IntegrityError)
      end

      it "opens older files, which have an MD5 checksum" do
        blob = ActiveStorage::Blob.create!(key: SecureRandom.hex, filename: "x", byte_size: 1, checksum: md5("x"),
                                           service_name: "hashed")
        blob.upload_without_unfurling(StringIO.new("x"))
        expect(blob.open(&:read)).to eq("x")
      end

      it "works in a mirror, where Rails computes an MD5" do
        allow(ActiveStorage::Blob).to receive(:service).and_return(ActiveStorage::Blob.services.fetch(:hashed_mirror))
        blob = upload("mirrored", service_name: "hashed_mirror")
        perform_enqueued_jobs
        mirrored = ActiveStorage::Blob.services.fetch(:elsewhere).download(blob.key)
        expect([blob.checksum, mirrored]).to eq([md5("mirrored"), "mirrored"])
      end

      it "opens a file with a SHA-256 checksum in a mirror" do
        blob = upload("x")
        blob.update!(service_name: "hashed_mirror")
        expect(ActiveStorage::Blob.find(blob.id).open(&:read)).to eq("x")
      end

      it "mirrors a file with a SHA-256 checksum" do
        service.upload(key = unique_key, StringIO.new("x"), checksum: sha256("x"))
        ActiveStorage::Blob.services.fetch(:hashed_mirror).mirror(key, checksum: sha256("x"))
        expect(ActiveStorage::Blob.services.fetch(:elsewhere).download(key)).to eq("x")
      end
    end

    describe "of sha256, and direct uploads", type: :request do
      around { |example| with_service(default_digest_type: "sha256") { example.run } }

      def announce(checksum)
        blob = ActiveStorage::Blob.create_before_direct_upload!(filename: "a.txt", byte_size: 1, checksum: checksum,
                                                                content_type: "text/plain", service_name: "hashed")
        host = { url_options: { host: "www.example.com" } }
        [blob, ActiveStorage::Current.set(**host) { blob.service_url_for_direct_upload }]
      end

      def status_of_put(url, body) = put(url, params: body, headers: { "Content-Type" => "text/plain" })

      it "accepts the MD5 and the SHA-256 that a browser computes" do
        [md5("x"), sha256("x")].each do |checksum|
          blob, url = announce(checksum)
          expect(status_of_put(url, "x")).to eq(204)
          expect([blob.reload.checksum, blob.open(&:read)]).to eq([checksum, "x"])
        end
      end

      it "refuses other bytes" do
        [md5("x"), sha256("x")].each do |checksum|
          blob, url = announce(checksum)
          expect(status_of_put(url, "y")).to eq(422)
          expect(server.head(bucket, blob.key)[0]).to eq(404)
        end
      end
    end
  end
end
