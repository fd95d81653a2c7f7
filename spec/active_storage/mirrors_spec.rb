# frozen_string_literal: true

require_relative "../active_storage_helper"

RSpec.describe "A mirror of encrypted services" do
  let(:elsewhere) { "#{bucket}-elsewhere" }
  let(:key_elsewhere) { service(:elsewhere).client.configuration.encryption_key.bytes }
  let(:data) { random_bytes(3.megabytes) }

  before(:context) { server.create_bucket("#{bucket}-elsewhere") }

  def service(name) = ActiveStorage::Blob.services.fetch(name)

  # Rails' MirrorJob asks the application's default service, so the mirror must be that.
  def with_default(name)
    before = ActiveStorage::Blob.service
    ActiveStorage::Blob.service = service(name)
    yield
  ensure
    ActiveStorage::Blob.service = before
  end

  def in_elsewhere(key) = decrypted(key, name: elsewhere, encryption_key: key_elsewhere)

  # @return [Array(Boolean, Boolean, Boolean)] where a key is: in the first bucket, in the second, on the disk
  def whereabouts(key) = %i[encrypted elsewhere local].map { |name| service(name).exist?(key) }

  context "as the primary and as a mirror, beside one on the disk" do
    around { |example| with_default(:mirrored_elsewhere) { example.run } }

    let(:document) { Document.create!(file: attachable(data, "film.bin")) }
    let(:key) { document.file.key }

    it "stores a file in the primary immediately and in the mirrors by a job" do
      expect(document.file.blob.service_name).to eq("mirrored_elsewhere")
      expect(whereabouts(key)).to eq([true, false, false])
      perform_all_jobs
      expect(whereabouts(key)).to eq([true, true, true])
      expect(service(:local).download(key)).to be_bytes(data)
    end

    it "encrypts each copy with the key of its own service, and each service reads only its own" do
      perform_enqueued_jobs { document }
      expect(decrypted(key)).to be_bytes(data)
      expect(in_elsewhere(key)).to be_bytes(data)
      expect(service(:elsewhere).download(key)).to be_bytes(data)
      expect { decrypted(key, name: elsewhere) }.to raise_error(OpenSSL::Cipher::CipherError)
      restore(key, *server.get(elsewhere, key).drop(1))
      expect { service(:encrypted).download(key) }.to raise_error(EncryptedS3Service::KeyringError)
    end

    it "reads a file from the primary: whole, in chunks, in part and as a file" do
      perform_enqueued_jobs { document }
      file = document.reload.file
      service(:elsewhere).delete(key)
      service(:local).delete(key)
      expect(file.download).to be_bytes(data)
      expect(file.enum_for(:download).to_a.join).to be_bytes(data)
      expect(file.download_chunk(1000..2000)).to be_bytes(data[1000..2000])
      expect(file.open(&:read)).to be_bytes(data)
      # As of an import, or of a service with `default_digest_type: sha256`.
      ["sha256:", ""].each do |name|
        file.blob.update_columns(checksum: "#{name}#{OpenSSL::Digest::SHA256.base64digest(data)}")
        expect(file.open(&:read)).to be_bytes(data)
      end
      file.blob.update_columns(checksum: md5("another"))
      expect { file.open { raise "opened" } }.to raise_error(ActiveStorage::IntegrityError)
    end

    it "deletes a file in every service" do
      perform_enqueued_jobs { key }
      expect(whereabouts(key)).to eq([true, true, true])
      document.file.purge
      expect(whereabouts(key)).to eq([false, false, false])
    end

    it "deletes a picture's variants in every service" do
      with_setting(:track_variants, false) do
        blob = blob_of(Samples.jpeg(120, 80), "clouds.jpg")
        variant = blob.variant(resize_to_limit: [20, 20])
        # Rails mirrors an untracked variant without a checksum.
        perform_enqueued_jobs { variant.processed }
        expect(whereabouts(variant.key)).to eq([true, true, true])
        expect(dimensions(in_elsewhere(variant.key))).to eq([20, 13])
        blob.purge
        expect(whereabouts(variant.key)).to eq([false, false, false])
      end
    end

    it "composes in the primary, and mirrors the result" do
      parts = %w[123 456].map { |text| blob_of(text, "part.txt") }
      whole = ActiveStorage::Blob.compose(parts, filename: "whole.txt")
      expect([whole.download, decrypted(whole.key)]).to eq(%w[123456 123456])
      perform_enqueued_jobs { Document.create!(file: whole) }
      expect(in_elsewhere(whole.key)).to eq("123456")
    end

    it "does not mirror a file that was changed after the upload" do
      document
      headers, body = stored(key)
      restore(key, headers, body.tap { |bytes| bytes.setbyte(100, bytes.getbyte(100) ^ 1) })
      expect { service(:mirrored_elsewhere).mirror(key, checksum: md5(data)) }
        .to raise_error(ActiveStorage::IntegrityError)
      expect(whereabouts(key)).to eq([true, false, false])
    end

    it "leaves no copy of a file that is deleted while a job copies it" do
      key
      deleting = ->(*) { document.file.purge if ActiveStorage::Blob.exists?(key: key) }
      ActiveSupport::Notifications.subscribed(deleting, /service_(streaming_)?download.active_storage/) do
        service(:mirrored_elsewhere).mirror(key, checksum: md5(data))
      end
      expect(ActiveStorage::Blob).not_to exist(key: key)
      expect(whereabouts(key)).to eq([false, false, false])
    end

    it "keeps the copies of a file that the primary has lost" do
      perform_enqueued_jobs { key }
      service(:encrypted).delete(key)
      service(:mirrored_elsewhere).mirror(key, checksum: md5(data))
      expect(whereabouts(key)).to eq([false, true, true])
    end

    it "ignores a job whose file is deleted" do
      key
      document.file.purge
      expect { perform_all_jobs }.not_to raise_error
      expect(whereabouts(key)).to eq([false, false, false])
    end
  end

  context "as the only mirror, of a disk" do
    around { |example| with_default(:mirrored_from_disk) { example.run } }

    it "has an encrypted copy of the file on the disk" do
      document = Document.create!(file: attachable(data, "film.bin"))
      key = document.file.key
      expect(whereabouts(key)).to eq([false, false, true])
      perform_all_jobs
      expect(decrypted(key)).to be_bytes(data)
      document.file.purge
      expect(whereabouts(key)).to eq([false, false, false])
    end
  end

  it "shows no key in inspect" do
    text = service(:mirrored_elsewhere).inspect
    expect(text).to include("elsewhere")
    expect(text.b).not_to include(key_elsewhere)
    expect(text).not_to include(server.secret_access_key)
  end
end
