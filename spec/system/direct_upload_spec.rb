# frozen_string_literal: true

require_relative "../system_helper"
require_relative "../support/slow_line"

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

  # The contents of the bucket, including unfinished uploads.
  def traces = server.list(bucket) + server.multipart_uploads(bucket)

  it "shows its progress, is encrypted in the bucket, attached, and read back unchanged" do
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

  it "of other bytes than announced is refused, and leaves nothing" do
    choose("what was announced", "note.txt")
    execute_script(<<~JAVASCRIPT)
      addEventListener("direct-upload:before-storage-request", ({ detail }) => {
        detail.xhr.send = () => XMLHttpRequest.prototype.send.call(detail.xhr, new Blob(["what was not ann…"]))
      })
    JAVASCRIPT
    message = accept_alert { click_on("Save") }
    expect(message).to eq('Error storing "note.txt". Status: 422')
    expect(page).to have_current_path("/documents/new")
    expect(traces.map(&:to_s)).not_to include(include(ActiveStorage::Blob.last.key))
    expect(requests.map(&:path)).not_to include("/documents")
  end

  # Chromium sends 100 MB at once to this machine, and its limits of the line have no effect on that.
  def on_a_slow_line
    page.server.boot
    SlowLine.run(page.server.port) do |line|
      Capybara.app_host = line.url
      yield line
    end
  ensure
    Capybara.app_host = nil
  end

  # After a visitor leaves a page Chromium continues to send, because the visitor may come back.
  it "whose tab is closed before its end leaves nothing" do
    on_a_slow_line do |line|
      tab = open_new_window
      within_window(tab) do
        choose(random_bytes(100_000_000))
        click_on("Save")
        wait_for("the upload") { line.most_sent > 1_000_000 }
      end
      tab.close
      wait_for("its end") { line.hung_up? }
      expect(line.most_sent).to be < 100_000_000
      visit "/documents/new"
    end
    expect(requests.map(&:verb)).to include("POST")
    expect(requests.map(&:verb)).not_to include("PUT")
    expect(traces.map(&:to_s)).not_to include(include(ActiveStorage::Blob.last.key))
  end
end
