# frozen_string_literal: true

require_relative "../support/fault_proxy"

# Services with the same connection settings share their connections: a service per tenant costs no socket.
RSpec.describe EncryptedS3Service::Client, "beside others" do
  let(:proxy) { FaultProxy.new(URI(server.endpoint)) }

  after { proxy.stop }

  def tenant(number, **settings)
    key = OpenSSL::Digest.digest("SHA256", "tenant #{number}")
    new_client(endpoint: proxy.endpoint, encryption_key: key, encryption_key_id: "t#{number}", **settings)
  end

  def sockets = Dir["/proc/self/fd/*"].count { |path| File.readlink(path).start_with?("socket:") rescue false } # rubocop:disable Style/RescueModifier

  it "uses one connection for 1,000 tenants with keys of their own, one after another" do
    first = tenant(0)
    first.upload(key = unique_key, StringIO.new("of tenant 0"))
    before = sockets
    clients = Array.new(1000) { |number| tenant(number) }
    found = clients.map { |client| client.exist?(key) }
    expect(found.tally).to eq(true => 1000)
    expect(proxy.accepted).to eq(1)
    # Connections of other examples may be closed meanwhile.
    expect(sockets).to be <= before
    # They share the connection, not the keys.
    expect(first.download(key)).to eq("of tenant 0")
    expect { clients.last.download(key) }.to raise_error(EncryptedS3Service::KeyringError)
  end

  # A little more: a thread that asks again before its connection is back opens another, and both stay.
  it "uses about as many connections as concurrent threads" do
    clients = Array.new(100) { |number| tenant(number) }
    threads = clients.each_slice(25).map { |some| Thread.new { some.each { |client| client.exist?("a") } } }
    threads.each(&:join)
    expect(proxy.accepted).to be_between(1, 8)
  end

  it "shares connections between buckets too, but not between credentials, endpoints or limits" do
    client = tenant(1)
    client.exist?("a")
    tenant(2, bucket: "other-bucket").exist?("a")
    expect(proxy.accepted).to eq(1)
    other = { access_key_id: "another", secret_access_key: "another" }
    expect { tenant(3, **other).exist?("a") }.to raise_error(EncryptedS3Service::AccessError)
    expect(proxy.accepted).to eq(2)
    expect { tenant(3, secret_access_key: "wrong").exist?("a") }.to raise_error(EncryptedS3Service::AccessError)
    tenant(4, http_read_timeout: 31).exist?("a")
    expect(proxy.accepted).to eq(4)
    expect(client.exist?("a")).to be(false)
  end

  it "closes a connection that was unused for http_idle_timeout" do
    client = tenant(1, http_idle_timeout: 0.2)
    client.exist?("a")
    sleep 0.05 until proxy.open_connections.zero?
    client.exist?("a")
    expect(proxy.accepted).to eq(2)
  end

  it "opens its own connections in a forked child" do
    client = tenant(1)
    client.exist?("a")
    pid = fork { exit!(tenant(2).exist?("a") || client.exist?("a") ? 1 : 0) }
    expect(Process.wait2(pid).last.exitstatus).to eq(0)
    expect(proxy.accepted).to eq(2)
    expect(client.exist?("a")).to be(false)
    expect(proxy.accepted).to eq(2)
  end
end
