# frozen_string_literal: true

require_relative "../support/quirky_stores"

# What a list names is deleted.
RSpec.describe EncryptedS3Service::Client, "and odd lists" do
  let(:folder) { unique_key }

  def client_of(proxy) = new_client(endpoint: proxy.endpoint, retry_limit: 0)

  def altering(alter, &) = AlteringStore.run(server.endpoint, alter, &)

  def with(head, body) = [head.sub(/^content-length:[^\r]*/i, "Content-Length: #{body.bytesize}"), body]

  def list?(request) = request.target.include?("list-type=2")

  def store(*names)
    names.each { |name| new_client.upload(name, StringIO.new("x")) }
  end

  def names = server.list(bucket, prefix: folder).sort

  def expect_no_trust(alter, prefix)
    altering(alter) do |proxy|
      expect { client_of(proxy).delete_prefixed(prefix) }.to raise_error(EncryptedS3Service::TransportError)
    end
  end

  it "that end within a key delete nothing: the rest of the key is missing" do
    store("#{folder}/1", "#{folder}/12")
    cut = ->(request, head, body) { with(head, body[%r{\A.*<Key>[^<]*1(?=2</Key>)}m]) if list?(request) }
    expect_no_trust(cut, "#{folder}/1")
    expect(names).to eq(["#{folder}/1", "#{folder}/12"])
  end

  it "that end after a key are not the whole list" do
    store("#{folder}/1", "#{folder}/2")
    cut = ->(request, head, body) { with(head, body[%r{\A.*?</Contents>}m]) if list?(request) }
    expect_no_trust(cut, "#{folder}/")
  end

  it "that were cut off once are requested again" do
    store("#{folder}/1", "#{folder}/2")
    left = 1
    cut = ->(request, head, body) { with(head, body[0..-5]) if list?(request) && (left -= 1) >= 0 }
    altering(cut) do |proxy|
      new_client(endpoint: proxy.endpoint, retry_limit: 1).delete_prefixed("#{folder}/")
      expect(proxy.requests.count { |request| list?(request) }).to eq(2)
    end
    expect(names).to eq([])
  end

  it "that are cut off after the deletion of several objects do not confirm it" do
    store("#{folder}/1")
    cut = ->(request, head, _body) { with(head, "<DeleteResult>") if request.target.include?("?delete") }
    expect_no_trust(cut, "#{folder}/")
  end

  it "that name other objects, as behind a proxy that removes the query, delete none of them" do
    store("#{folder}/a/1", "#{folder}/b/1")
    forget = lambda do |request, head, body|
      with(head, body.gsub(%r{(?:%2F|/)a(?=(?:%2F|/)1)}, "/b")) if list?(request)
    end
    altering(forget) do |proxy|
      expect { client_of(proxy).delete_prefixed("#{folder}/a/") }
        .to raise_error(EncryptedS3Service::StoreError, %r{listed "#{folder}/b/1", which does not begin with})
    end
    expect(names).to eq(["#{folder}/a/1", "#{folder}/b/1"])
  end

  it "whose token is always the same are an error, and do not go on for ever" do
    store("#{folder}/1")
    # Swift refuses a token that is not base64.
    more = "<IsTruncated>true</IsTruncated><NextContinuationToken>dA==</NextContinuationToken>"
    alter = lambda do |request, head, body|
      with(head, body.sub(%r{<IsTruncated>false</IsTruncated>}, more)) if list?(request)
    end
    altering(alter) do |proxy|
      expect { Timeout.timeout(20) { client_of(proxy).delete_prefixed("#{folder}/") } }
        .to raise_error(EncryptedS3Service::TransportError, /incomplete.*same token/)
    end
  end

  describe "of objects that could not be deleted for the moment" do
    it "have these deleted one by one" do
      store("#{folder}/1", "#{folder}/2")
      busy = lambda do |request|
        next unless request.target.include?("?delete")

        failed = { "1" => "SlowDown", "2" => "InternalError" }
        failed = failed.map { |name, code| "<Error><Key>#{folder}/#{name}</Key><Code>#{code}</Code></Error>" }
        { status: 200, answer: "<DeleteResult>#{failed.join}</DeleteResult>" }
      end
      RefusingStore.run(server.endpoint, busy) do |proxy|
        client_of(proxy).delete_prefixed("#{folder}/")
        expect(proxy.requests.count { |request| request.verb == "DELETE" }).to eq(2)
      end
      expect(names).to eq([])
    end
  end

  describe "of versions" do
    def listing(more)
      version = "<Version><Key>#{folder}/1</Key><VersionId>v1</VersionId><IsLatest>true</IsLatest></Version>"
      "<ListVersionsResult><IsTruncated>true</IsTruncated>#{more}#{version}</ListVersionsResult>"
    end

    def listed(answer)
      refusal = ->(request) { { status: 200, answer: answer } if request.target.match?(/[?&]versions/) }
      RefusingStore.run(server.endpoint, refusal) do |proxy|
        Timeout.timeout(20) { client_of(proxy).older_versions("#{folder}/1") }
      end
    end

    it "are an error when the beginning of the next page is missing" do
      expect { listed(listing("")) }
        .to raise_error(EncryptedS3Service::TransportError, /list of versions is incomplete/)
    end

    it "are an error when every page has the same beginning" do
      more = "<NextKeyMarker>#{folder}/1</NextKeyMarker><NextVersionIdMarker>v1</NextVersionIdMarker>"
      expect { listed(listing(more)) }
        .to raise_error(EncryptedS3Service::TransportError, /list of versions is incomplete/)
    end

    it "are an error when they name other objects" do
      expect { listed(listing("").gsub("#{folder}/", "other/")) }
        .to raise_error(EncryptedS3Service::StoreError, %r{listed "other/1", which does not begin with})
    end
  end
end
