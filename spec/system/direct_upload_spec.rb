# frozen_string_literal: true

require_relative "../system_helper"

RSpec.describe "A direct upload by Rails' own JavaScript", browser: true do
  around { |example| Dir.mktmpdir { |files| example.run(@files = files) } }

  let(:data) { random_bytes(12_000_000) }

  def choose(data, name = "film.mp4")
    path = File.join(@files, name)
    File.binwrite(path, data)
    visit "/documents/new"
    attach_file("File", path)
  end

  def events = JSON.parse(evaluate_script("sessionStorage.getItem('events')") || "[]")

  # What is in the bucket, unfinished uploads included.
  def traces = server.list(bucket) + server.multipart_uploads(bucket)

  # @param speed [Integer] bytes a second
  def limit_uploads(speed)
    chromium("Network.enable")
    chromium("Network.emulateNetworkConditions", offline: false, latency: 0, downloadThroughput: -1,
                                                 uploadThroughput: speed)
  end

  it "shows its progress, is encrypted in the bucket, attached, and comes back the same" do
    choose(data)
    click_on("Save")
    expect(page).to have_current_path("/documents").and have_text('"key"')
    document = JSON.parse(page.text)
    expect(stored_plaintext(document["key"])).to be_bytes(data)
    expect(Document.last.file.key).to eq(document["key"])
    expect(fetched(document["path"])).to include("status" => 200, "type" => "video/mp4", "size" => data.bytesize,
                                                 "sha256" => OpenSSL::Digest::SHA256.hexdigest(data))
    shown = events.filter_map { |event| event["shown"] if event["name"] == "progress" }
    expect(shown).not_to be_empty
    expect(shown).to eq(shown.sort)
    expect(shown.last).to eq(100)
    # The form itself carried no file, only the blob's signed id.
    expect(requests.map { |request| [request.verb, request.status] }).to include(["PUT", 204])
    expect(complaints).to eq([])
  end

  it "of other bytes than were announced is refused, and leaves nothing" do
    choose("what was announced", "note.txt")
    before = traces
    execute_script(<<~JAVASCRIPT)
      addEventListener("direct-upload:before-storage-request", ({ detail }) => {
        detail.xhr.send = () => XMLHttpRequest.prototype.send.call(detail.xhr, new Blob(["what was not ann…"]))
      })
    JAVASCRIPT
    message = accept_alert { click_on("Save") }
    expect(message).to eq('Error storing "note.txt". Status: 422')
    expect(page).to have_current_path("/documents/new")
    expect(traces).to eq(before)
    expect(requests.map(&:path)).not_to include("/documents")
  end

  it "that the visitor walks away from leaves nothing" do
    # So large that it cannot have arrived by the time the visitor goes, whatever the machine is doing.
    choose(random_bytes(100_000_000))
    limit_uploads(1_000_000)
    # The form must not be waited for.
    execute_script("setTimeout(() => document.querySelector('input[type=submit]').click())")
    wait_for("progress") { events.any? { |event| event["name"] == "progress" && event["shown"].between?(1, 90) } }
    visit "about:blank"
    limit_uploads(-1)
    visit "/documents/new"
    expect(requests.map(&:status)).not_to include(204)
    key = ActiveStorage::Blob.last.key
    expect(traces.map(&:to_s)).not_to include(include(key))
    expect(events.map { |event| event["name"] }).not_to include("end")
  ensure
    chromium("Network.disable")
  end
end
