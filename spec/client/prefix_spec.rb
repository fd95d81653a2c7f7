# frozen_string_literal: true

# A folder of a bucket for each environment or tenant: the service does not see the objects beside it.
RSpec.describe EncryptedS3Service::Client, "with a prefix" do
  let(:folder) { "specs-#{SecureRandom.hex(4)}" }
  let(:client) { new_client(prefix: "#{folder}/production") }
  let(:all) { new_client }

  def upload(client, key, data = "of #{key}") = client.upload(key, StringIO.new(data))

  def in_bucket = server.list(bucket, prefix: folder).map { |key| key.delete_prefix("#{folder}/") }.sort

  it "stores under it, and reads, checks, measures and deletes by keys without it" do
    upload(client, "a/1")
    expect(in_bucket).to eq(%w[production/a/1])
    expect(all.download("#{folder}/production/a/1")).to eq("of a/1")
    expect(client.download("a/1")).to eq("of a/1")
    expect(client.download_chunk("a/1", 3..)).to eq("a/1")
    expect([client.exist?("a/1"), client.size("a/1"),
            client.envelope("a/1").key_id]).to eq([true, 6, TestStore::KEY_ID])
    expect(client.stat("a/1").etag).to eq(all.stat("#{folder}/production/a/1").etag)
    expect(client.metadata("a/1").entries).to include("x-amz-key-v2")
    reader = client.reader("a/1")
    expect(reader.read(2)).to eq("of")
    reader.close
    Tempfile.create { |file| expect(client.download_file("a/1", file)).to include(bytes: 6) }
    client.delete("a/1")
    expect(in_bucket).to eq([])
  end

  it "composes, rotates and reencrypts in it" do
    upload(client, "1", "one")
    upload(client, "2", "two")
    client.compose(%w[1 2], "both")
    expect(client.download("both")).to eq("onetwo")
    new_settings = { prefix: "#{folder}/production", encryption_key: "n" * 32, encryption_key_id: "2026" }
    rotating = new_client(**new_settings, decryption_keys: { TestStore::KEY_ID => TestStore::KEY })
    expect(rotating.rotate("1", verify: true).outcome).to eq(:rotated)
    rotating.reencrypt("2")
    expect(%w[1 2].map { |key| new_client(**new_settings).download(key) }).to eq(%w[one two])
    expect(in_bucket).to eq(%w[production/1 production/2 production/both])
  end

  it "deletes by a prefix only in its folder, not in a folder whose name begins the same" do
    upload(new_client(prefix: "#{folder}/production2"), "variants/1")
    upload(all, "#{folder}/variants/1")
    %w[variants/1 variants/2 other].each { |key| upload(client, key) }
    client.delete_prefixed("variants/")
    expect(in_bucket).to eq(%w[production/other production2/variants/1 variants/1])
    client.delete_prefixed("o")
    expect(in_bucket).to eq(%w[production2/variants/1 variants/1])
  end

  it "deletes nothing by an empty prefix" do
    upload(client, "a")
    expect { client.delete_prefixed("") }.to raise_error(ArgumentError, /empty/)
    expect(in_bucket).to eq(%w[production/a])
  end

  ways_out = ["../secret", "..", "a/../../secret", "./a", "a/.", "a/..", "/secret", "//secret", "a/./b"]
  ways_out.each do |key|
    it "refuses the key #{key.inspect}" do
      upload(all, "#{folder}/secret")
      calls = [-> { upload(client, key) }, -> { client.download(key) }, -> { client.exist?(key) },
               -> { client.delete(key) }, -> { client.delete_prefixed(key) }, -> { client.rotate(key) },
               -> { client.compose(["x"], key) }, -> { client.reader(key) }, -> { client.metadata(key) }]
      calls.each { |call| expect(&call).to raise_error(ArgumentError, /when a prefix is set/) }
      expect(in_bucket).to eq(%w[secret])
    end
  end

  it "accepts names that only look like a path to a parent folder" do
    keys = ["a..b", "...", ".hidden", "%2e%2e/secret", "a/ ../b"]
    keys.each { |key| upload(client, key) }
    expect(keys.map { |key| client.download(key) }).to eq(keys.map { |key| "of #{key}" })
    expect(in_bucket).to match_array(keys.map { |key| "production/#{key}" })
  end

  it "is the same with and without a slash at its end" do
    upload(client, "a")
    expect(new_client(prefix: "#{folder}/production/").download("a")).to eq("of a")
    expect(new_client(prefix: "")).not_to be_exist("a")
  end

  ["/a", "a//b", "../a", "a/..", "a/./b", ".", "//", "a\nb"].each do |prefix|
    it "cannot be #{prefix.inspect}" do
      expect { new_client(prefix: prefix) }.to raise_error(EncryptedS3Service::ConfigurationError, /\Aprefix must be/)
    end
  end

  it "names the whole key in errors" do
    expect { client.download("none") }
      .to raise_error(EncryptedS3Service::NotFoundError, %r{"#{folder}/production/none"})
    expect(client.configuration.inspect).to include("prefix=\"#{folder}/production/\"")
  end
end
