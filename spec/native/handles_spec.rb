# frozen_string_literal: true

require_relative "../support/ruby_process"

# Ruby's garbage collector and careless callers against transfers.
RSpec.describe EncryptedS3Service::Native do
  let(:client) { new_client }
  let(:native) { client.send(:native) }
  let(:key) { unique_key }

  def new_upload(**options)
    native.upload(key, { content_type: "a/b", checksum: nil, size: nil, settings: {}, **options })
  end

  # In a process of its own: not every extension that other specs load survives it.
  it "survives compaction between the steps of a transfer", if: GC.respond_to?(:compact) do
    printed, status = RubyProcess.run(<<~'RUBY', TestStore.settings, key)
      settings, key = input
      client = EncryptedS3Service::Client.new(**settings)
      upload = client.send(:native).upload(key, { content_type: "a/b", checksum: nil, size: nil, settings: {} })
      3.times do |step|
        upload.write("part #{step};")
        GC.compact
      end
      puts upload.finish[:bytes], client.download(key)
    RUBY
    expect([printed, status.exitstatus]).to eq(["21\npart 0;part 1;part 2;\n", 0])
  end

  it "drops unfinished transfers without a trace in the bucket" do
    100.times { new_upload.write("forgotten") }
    GC.start
    client.upload(key, StringIO.new("kept"))
    20.times { native.download(key, 0, nil) }
    GC.start
    expect(client.download(key)).to eq("kept")
    expect(traces_of(key)).to eq([key])
  end

  it "can be aborted several times, also after the end" do
    upload = new_upload
    upload.write("x")
    expect([upload.abort, upload.abort]).to eq([nil, nil])
    expect { upload.write("x") }.to raise_error(EncryptedS3Service::ClosedError)
    expect { upload.finish }.to raise_error(EncryptedS3Service::ClosedError)
    finished = new_upload
    finished.finish
    expect(finished.abort).to be_nil
    expect(client.exist?(key)).to be(true)
  end

  it "can be closed several times, and reads nothing afterwards" do
    client.upload(key, StringIO.new("x"))
    download = native.download(key, 0, nil)
    expect([download.close, download.close]).to eq([nil, nil])
    expect { download.read }.to raise_error(EncryptedS3Service::ClosedError)
  end

  it "returns nil repeatedly at the end of an object" do
    client.upload(key, StringIO.new("x"))
    download = native.download(key, 0, nil)
    expect([download.size, download.read, download.read, download.read]).to eq([1, "x", nil, nil])
  end

  it "copies written bytes, so that the buffer can be reused" do
    upload = new_upload
    buffer = +"first "
    upload.write(buffer)
    buffer.replace("second")
    upload.write(buffer)
    upload.finish
    expect(client.download(key)).to eq("first second")
  end

  it "shows no secret of the configuration" do
    expect(native.inspect).not_to include(server.secret_access_key)
    expect(native.inspect.b).not_to include(TestStore::KEY)
  end

  it "gives every error a frozen code of its own" do
    expect { client.download(key) }.to raise_error(EncryptedS3Service::NotFoundError) { |e|
      expect(e.code).to eq("not-found").and(be_frozen)
      expect(e.cause).to be_nil
    }
  end
end
