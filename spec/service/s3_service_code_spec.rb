# frozen_string_literal: true

# Only Kernel#pp loads it automatically.
require "pp" # rubocop:disable Lint/RedundantRequireStatement
require_relative "../rails_helper"

# Applications reach into Rails' S3Service. Calls that can be answered are; the others raise with the reason.
RSpec.describe "Code that knows S3Service" do
  let(:service) { ActiveStorage::Blob.services.fetch(:encrypted) }
  let(:data) { random_bytes(6.megabytes) }
  let(:key) { unique_key.tap { |key| service.upload(key, StringIO.new(data)) } }
  let(:object) { service.bucket.object(key) }
  let(:place) { TestStore.settings.then { |entry| entry[:bucket] || entry[:root] } }
  let(:unsupported) { EncryptedS3Service::UnsupportedOperationError }

  it "gets the bucket's name, the client and the upload settings" do
    expect(service.bucket.name).to eq(place)
    expect(service.client).to be_a(EncryptedS3Service::Client)
    expect(service.bucket.client).to be(service.client)
    expect(service.client.download(key)).to be_bytes(data)
    expect(service.upload_options).to eq({})
    expect(service.multipart_upload_threshold).to eq(5.megabytes)
    expect(service.public?).to be(false)
    entry = { service: "EncryptedS3", **TestStore.settings_for("http://127.0.0.1:1"),
              upload: { storage_class: "STANDARD_IA" } }
    expect(ActiveStorage::Service.configure(:a, a: entry).upload_options).to eq(storage_class: "STANDARD_IA")
  end

  it "gets objects by the private method that many applications use" do
    expect(service.send(:object_for, key).key).to eq(key)
    expect(service.send(:object_for, key).bucket_name).to eq(place)
  end

  it "gets the size and bytes of the plaintext" do
    expect([object.exists?, object.size, object.content_length, object.head.size]).to eq([true, *([data.bytesize] * 3)])
    expect(object.etag).to eq(service.stat(key).etag)
    answer = object.get
    expect(answer.body.read).to be_bytes(data)
    expect([answer.content_length, answer.etag]).to eq([data.bytesize, object.etag])
    expect(object.get(range: "bytes=10-19").body.read).to be_bytes(data[10..19])
    chunks = []
    object.get { |chunk| chunks << chunk }
    expect(chunks.join).to be_bytes(data)
    expect(object.metadata).to eq({})
  end

  it "reads into files and IOs" do
    Dir.mktmpdir do |folder|
      object.download_file(path = File.join(folder, "a"))
      expect(File.binread(path)).to be_bytes(data)
      object.get(response_target: Pathname(folder).join("b"))
      expect(File.binread(File.join(folder, "b"))).to be_bytes(data)
      object.get(response_target: io = StringIO.new.binmode)
      expect(io.string).to be_bytes(data)
    end
  end

  it "gets one range, also with a block, or an error" do
    chunks = []
    object.get(range: "bytes=10-19") { |chunk| chunks << chunk }
    expect(chunks).to eq([data[10..19]])
    object.get(range: "bytes=10-19", response_target: io = StringIO.new.binmode)
    expect(io.string).to eq(data[10..19])
    ["bytes=0-1,4-5", "bytes=#{data.bytesize}-", "0-9"].each do |range|
      expect { object.get(range: range) }.to raise_error(EncryptedS3Service::InvalidRangeError, /one range within/)
    end
  end

  it "keeps an existing file when the object is missing" do
    Tempfile.create do |file|
      File.write(file.path, "former content")
      missing = service.bucket.object(unique_key)
      expect { missing.download_file(file.path) }.to raise_error(ActiveStorage::FileNotFoundError)
      expect { missing.get(response_target: file.path) }.to raise_error(ActiveStorage::FileNotFoundError)
      expect { object.get(response_target: file.path, range: "bytes=#{data.bytesize}-") }
        .to raise_error(EncryptedS3Service::InvalidRangeError)
      expect(File.read(file.path)).to eq("former content")
      service.upload(empty = unique_key, StringIO.new(""))
      service.bucket.object(empty).download_file(file.path)
      expect(File.size(file.path)).to eq(0)
    end
  end

  it "encrypts with every method that writes" do
    Tempfile.create do |file|
      file.write("from a file") && file.flush
      written = { "a" => ->(one) { one.put(body: "a text") }, "b" => ->(one) { one.put(body: StringIO.new("an IO")) },
                  "c" => ->(one) { one.upload_file(file.path) } }.map do |name, write|
        write.call(service.bucket.object(name = unique_key(name)))
        expect(stored(name).last).not_to include("text", "IO", "file")
        stored_plaintext(name)
      end
      expect(written).to eq(["a text", "an IO", "from a file"])
    end
  end

  it "stores nothing if a body has another MD5 than the caller says" do
    written = service.bucket.object(unique_key)
    expect { written.put(body: "a text", content_md5: md5("another")) }.to raise_error(ActiveStorage::IntegrityError)
    expect(written.exists?).to be(false)
    written.put(body: "a text", content_md5: md5("a text"), content_type: "text/plain")
    expect(written.get.body.read).to eq("a text")
  end

  it "is not given, and does not replace or delete, another version than it asks for" do
    kept = object.get.body.read
    calls = [-> { object.get(version_id: "1") }, -> { object.get(if_match: "x") { |chunk| chunk } },
             -> { object.get(part_number: 2) }, -> { object.head(version_id: "1") },
             -> { object.download_file("file", version_id: "1") }, -> { object.put(body: "x", if_none_match: "*") },
             -> { object.upload_file(__FILE__, if_none_match: "*") }, -> { object.delete(version_id: "1") }]
    calls.each { |call| expect(&call).to raise_error(unsupported, /has no option \w+ of Object#\w+\. It is not/) }
    expect(object.get(version_id: nil).body.read).to eq(kept)
  end

  it "deletes" do
    object.delete
    expect(object.exists?).to be(false)
    expect { object.get }.to raise_error(ActiveStorage::FileNotFoundError)
    expect { object.size }.to raise_error(ActiveStorage::FileNotFoundError)
  end

  it "gets an error that explains why presigned addresses do not exist, and names the alternative" do
    expect { object.presigned_url(:get, expires_in: 60) }.to raise_error(unsupported, /ciphertext.*`blob\.url`/)
    expect { object.presigned_url(:put) }.to raise_error(unsupported, /plaintext/)
    expect { object.public_url }.to raise_error(unsupported, /ciphertext.*`blob\.url`/)
    expect { object.presigned_post(key: "a") }.to raise_error(unsupported, /plaintext.*direct uploads/)
    expect { service.bucket.presigned_post(key: "a") }.to raise_error(unsupported, /plaintext.*direct uploads/)
    expect { service.bucket.url }.to raise_error(unsupported, /ciphertext/)
  end

  it "gets an explanation instead of a NoMethodError for other missing methods" do
    [-> { object.copy_to("b/c") }, -> { object.copy_from(copy_source: "b/c") }, -> { object.move_to("b/c") },
     -> { object.acl.put(acl: "public-read") }, -> { object.last_modified }, -> { object.upload_stream { nil } },
     -> { object.initiate_multipart_upload }, -> { service.bucket.objects(prefix: "a") },
     -> { service.bucket.put_object(key: "a", body: "x") }, -> { service.client.client },
     -> { service.client.bucket("b") }]
      .each { |call| expect(&call).to raise_error(unsupported, /EncryptedS3 has no .*: .*\.\z/) }
  end

  it "gets a result or an explanation for every method of Amazon's objects and buckets" do
    require "aws-sdk-s3"
    internal = %i[identifiers deprecated_identifiers]
    { Aws::S3::Object => object, Aws::S3::Bucket => service.bucket, Aws::S3::Resource => service.client }
      .each do |amazon, ours|
        missing = (amazon.public_instance_methods(false) - internal).grep_v(/\Adeprecated_/)
                                                                    .reject { |name| ours.respond_to?(name) }
        expect(missing).to eq([]), "#{amazon}: #{missing.join(", ")}"
      end
    [-> { service.bucket.client.get_object(bucket: "b", key: "k") }, -> { object.client.head_object(bucket: "b") },
     -> { service.bucket.client.list_objects_v2(bucket: "b") }, -> { service.bucket.exists? }, -> { object.version_id },
     -> { object.wait_until_exists }, -> { service.bucket.delete_objects(delete: {}) }]
      .each { |call| expect(&call).to raise_error(unsupported, /EncryptedS3 has no .*: .*\.\z/) }
  end

  it "sees no secret" do
    text = [service.bucket.inspect, object.inspect, object.pretty_inspect].join
    expect(text).to include(bucket)
    expect(text.b).not_to include(TestStore::KEY)
    expect(text).not_to include(server.secret_access_key)
  end
end
