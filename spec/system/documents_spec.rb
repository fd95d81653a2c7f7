# frozen_string_literal: true

require_relative "../system_helper"

RSpec.describe "A file that is opened in the browser", browser: true do
  def open_in_tab(data, name) = visit(link_to_blob(blob_of(data, name)))

  # The application shows it inline, against Active Storage's own rule for such a type.
  def open_inline(data, name, type)
    blob = blob_of(data, name)
    host, port = URI(page.server_url).then { |uri| [uri.host, uri.port] }
    visit(ActiveStorage::Current.set(url_options: { protocol: "http", host: host, port: port }) do
      blob.service.url(blob.key, expires_in: 60, filename: blob.filename, content_type: type, disposition: :inline)
    end)
  end

  # @return [Float] the share of white pixels on the page
  def whiteness
    picture = chromium("Page.captureScreenshot")["data"].unpack1("m")
    black_and_white = %w[magick - -fill black -fuzz 1% +opaque white]
    Float(Open3.capture2(*black_and_white, "-format", "%[fx:mean]", "info:-", stdin_data: picture, binmode: true).first)
  end

  it "is shown if it is a picture" do
    open_in_tab(Samples.png(48, 32), "clouds.png")
    expect(evaluate_script("[document.images[0].naturalWidth, document.images[0].naturalHeight]")).to eq([48, 32])
    expect(complaints).to eq([])
  end

  it "is played if it is a film" do
    open_inline(Samples.video, "film.mp4", "video/mp4")
    wait_for("the film") { evaluate_script("document.querySelector('video').readyState") == 4 }
    expect(evaluate_script("document.querySelector('video').videoWidth")).to eq(96)
    expect(complaints).to eq([])
  end

  it "is shown by the browser's own viewer if it is a PDF" do
    open_in_tab(Samples.pdf, "will.pdf")
    # The viewer is dark around the page, and dark where it shows none.
    wait_for("the page of the PDF") { whiteness > 0.02 }
    frames = chromium("Target.getTargets")["targetInfos"].select { |target| target["type"] == "iframe" }
    expect(frames.map { |frame| frame["url"] }).to include(page.current_url)
    expect(complaints).to eq([])
  end

  it "is downloaded and not run if it is a page" do
    visit "/documents/new"
    blob = blob_of("<script>document.title = 'run'</script>", "page.html")
    folder = Dir.mktmpdir
    chromium("Browser.setDownloadBehavior", behavior: "allow", downloadPath: folder)
    visit link_to_blob(blob)
    saved = File.join(folder, "page.html")
    # The browser makes the file before it writes to it.
    wait_for("the download") { File.size?(saved) }
    expect(File.read(saved)).to eq("<script>document.title = 'run'</script>")
    expect(page).to have_title("New document").and have_current_path("/documents/new")
  ensure
    FileUtils.rm_rf(folder)
  end

  it "runs nothing with the application's rights, even if it is shown as a page" do
    open_inline("<script>document.cookie = 'run=1'</script><p>text</p>", "page.html", "text/html")
    expect(page).to have_text("text")
    expect(evaluate_script("origin")).to eq("null")
    expect(complaints.join).to match(/[Bb]locked script execution/)
  end
end
