# frozen_string_literal: true

require_relative "../spec_helper"
require_relative "../support/browser"
require_relative "../support/demo_process"
require_relative "../support/legibility"
require_relative "../support/samples"

RSpec.describe "The demo application's page", browser: true, order: :defined do
  # The folder for pictures of the page, for people to look at.
  folder = File.expand_path("../../tmp/screenshots", __dir__)

  before(:context) { @demo = DemoProcess.new unless Browser.missing }
  after(:context) { @demo&.stop }

  around { |example| Dir.mktmpdir { |files| example.run(@files = files) } }

  let(:demo) { @demo }

  def file(name, data) = File.join(@files, name).tap { |path| File.binwrite(path, data) }

  def objects = server.list(demo.bucket)

  # @return [Capybara::Node::Element] the card of a file
  def card(name) = find("article", text: /^#{Regexp.escape(name)}$/)

  def upload(*paths)
    attach_file("files", paths)
    find(".upload [type=submit]").click
  end

  # Uses the page's switch.
  def become(customer)
    click_on(customer)
    expect(page).to have_css("[aria-pressed=true]", text: customer)
  end

  # Pictures are only fetched when they come into view.
  def load_everything
    all("article img", visible: :all).each do |image|
      page.scroll_to(image)
      wait_for("a picture") { image["complete"] == "true" }
    end
    wait_for("films and recordings") { evaluate_script(<<~JAVASCRIPT) }
      Array.from(document.querySelectorAll("video, audio")).every((media) => media.readyState > 1 && media.networkState === 1)
    JAVASCRIPT
    page.scroll_to(0, 0)
    expect(evaluate_script("Array.from(document.images, (image) => image.naturalWidth)")).to all(be > 0)
  end

  # @return [String] a PNG of the whole page, on which the players' own signs of loading have come to rest
  def still_picture
    last = nil
    wait_for("a page on which nothing moves") do
      picture = chromium("Page.captureScreenshot", captureBeyondViewport: true)["data"].unpack1("m")
      next picture if picture == last

      last = picture
      nil
    end
  end

  # @return [String] hexadecimal
  def bytes_shown(name, side)
    card(name).find("#{side} .hex").text.lines.map { |line| line[/\A\h+\s+((?:\h\h )*\h\h)/, 1].delete(" ") }.join
  end

  def video_script(script) = evaluate_script("document.querySelector('video').#{script}")

  # First of all, so that the pictures show the page as it is when the demo begins.
  { "desktop" => [1280, 800], "phone" => [390, 844] }.each do |device, (width, height)|
    %w[light dark].each do |scheme|
      it "fits on a #{device} and is legible, in #{scheme} colours" do
        chromium("Emulation.setDeviceMetricsOverride", width: width, height: height, deviceScaleFactor: 1,
                                                       mobile: device == "phone")
        chromium("Emulation.setEmulatedMedia", features: [{ name: "prefers-color-scheme", value: scheme }])
        visit demo.url
        FileUtils.mkdir_p(folder)
        { "Berg & Söhne" => "demo", "Plain Pages" => "demo-plain" }.each do |customer, picture|
          become(customer)
          load_everything
          expect(evaluate_script("[document.documentElement.scrollWidth, innerWidth]")).to eq([width, width])
          expect(complaints).to eq([])
          expect(evaluate_script("matchMedia('(prefers-color-scheme: #{scheme})').matches")).to be(true)
          expect(evaluate_script(Legibility::FAINT_TEXTS)).to eq([])
          expect(evaluate_script(Legibility::NAMELESS)).to eq([])
          File.binwrite(File.join(folder, "#{picture}-#{device}-#{scheme}.png"), still_picture)
        end
      ensure
        chromium("Emulation.clearDeviceMetricsOverride")
        chromium("Emulation.setEmulatedMedia", features: [])
      end
    end
  end

  it "accepts several files by Rails' own direct upload, and shows their progress and the bucket's content" do
    visit demo.url
    before = objects
    execute_script(<<~JAVASCRIPT)
      addEventListener("direct-upload:progress", () => {
        const shown = Array.from(document.querySelectorAll(".chosen progress"), (bar) => bar.value)
        sessionStorage.setItem("shown", JSON.stringify([...JSON.parse(sessionStorage.getItem("shown") || "[]"), ...shown]))
      })
    JAVASCRIPT
    secret = "nobody's business " * 200_000
    upload(file("Holiday.jpg", Samples.jpeg(800, 600)), file("Will.pdf", Samples.pdf), file("Diary.txt", secret))
    expect(page).to have_css(".notice", text: "3 files are encrypted and stored.")
    expect(JSON.parse(evaluate_script("sessionStorage.getItem('shown')"))).to include(be > 0)
    expect(card("Diary.txt")).to have_text("3,600,016 bytes")
    expect(card("Will.pdf")).to have_text("application/pdf").and have_text("x-amz-key-v2")
    # The PDF's first bytes are shown as visitors get them; those in the bucket differ.
    expect(card("Will.pdf").find(".ours .hex").text).to include("%PDF-1.4")
    expect(card("Will.pdf").find(".theirs .hex").text).not_to include("%PDF")
    load_everything
    new = (objects - before).map { |key| server.get(demo.bucket, key) }
    expect(new.size).to be >= 3
    expect(new.map { |_, headers| headers.keys.grep(/x-amz-meta/) }).to all(include("x-amz-meta-x-amz-key-v2"))
    expect(new.map(&:last)).not_to include(include("nobody's business").or(start_with("%PDF", "\xFF\xD8".b)))
    expect(complaints).to eq([])
  end

  it "accepts files that are dropped on it" do
    visit demo.url
    find(".drop").drop(file("Dropped.txt", "dropped"), file("Dropped as well.txt", "dropped"))
    expect(all(".chosen li").map(&:text)).to contain_exactly(/Dropped.txt/, /Dropped as well.txt/)
    click_on("Encrypt and store")
    expect(card("Dropped as well.txt").find(".ours")).to have_text("text/plain")
    expect(complaints).to eq([])
  end

  it "names the file that was not stored, and accepts all of them once when they are sent again" do
    visit demo.url
    before = objects
    # Sends other bytes of the second file than announced, the first time only.
    execute_script(<<~JAVASCRIPT)
      let broken = false
      addEventListener("direct-upload:before-storage-request", ({ detail }) => {
        if (broken || detail.file.name !== "Second.txt") return
        broken = true
        detail.xhr.send = () => XMLHttpRequest.prototype.send.call(detail.xhr, new Blob(["other"]))
      })
    JAVASCRIPT
    upload(file("First.txt", "first"), file("Second.txt", "bytes"))
    expect(page).to have_css("[role=alert]", text: "Second.txt was not stored, and no part of it remains")
    expect(page).to have_css("[data-state=done]", text: "First.txt").and have_css("[data-state=failed]", text: "Second")
    expect((objects - before).size).to eq(1)
    expect(complaints).to contain_exactly(include("422"))
    click_on("Encrypt and store")
    expect(page).to have_css(".notice", text: "2 files are encrypted and stored.")
  end

  it "accepts files without JavaScript" do
    chromium("Emulation.setScriptExecutionDisabled", value: true)
    visit demo.url
    upload(file("Plain.txt", "sent by the form"), file("Plain.pdf", Samples.pdf))
    expect(page).to have_css(".notice", text: "2 files are encrypted and stored.")
    expect(card("Plain.txt").find(".ours")).to have_text("text/plain").and have_text("sent by")
  ensure
    chromium("Emulation.setScriptExecutionDisabled", value: false)
  end

  it "shows a picture, a document's first page and a film, which plays and seeks" do
    visit demo.url
    load_everything
    expect(card("Summer evening.png").find("img")["naturalWidth"].to_i).to be > 600
    expect(card("Invoice 2041.pdf").find("img")["naturalWidth"].to_i).to be > 300
    poster = URI(video_script("poster")).path
    expect(fetched(poster)).to include("status" => 200, "type" => %r{\Aimage/})
    execute_script(<<~JAVASCRIPT)
      const video = document.querySelector("video")
      Object.assign(video, { muted: true, currentTime: 9 })
      video.play()
    JAVASCRIPT
    wait_for("the film to play on from where it was told to") { video_script("currentTime") > 9.2 }
    expect(video_script("error")).to be_nil
    expect(complaints).to eq([])
  end

  it "stores each customer's files by that customer's settings, and shows each only its own" do
    texts = { "Berg & Söhne" => "Letter of Berg.txt", "Plain Pages" => "Letter of Plain.txt" }
    objects_of = texts.to_h do |customer, name|
      visit demo.url
      become(customer)
      before = objects
      upload(file(name, "the same text for both"))
      expect(page).to have_css(".notice", text: "#{name} is")
      [customer, (objects - before).map { |key| server.get(demo.bucket, key) }]
    end
    (_, headers, ciphertext), *others = objects_of.fetch("Berg & Söhne")
    expect(others).to eq([])
    expect(headers).to include("x-amz-meta-x-amz-key-v2", "content-type" => "application/octet-stream")
    expect(ciphertext).not_to include("the same text")
    expect(objects_of.fetch("Plain Pages").map(&:last)).to eq(["the same text for both"])

    expect(card("Letter of Plain.txt").find(".theirs")).to have_text("readable by everybody with access to the bucket")
    expect(card("Letter of Plain.txt").find(".theirs")).to have_text("text/plain").and have_text("no envelope")
    expect(bytes_shown("Letter of Plain.txt", ".theirs")).to eq(bytes_shown("Letter of Plain.txt", ".ours"))
    expect(page).to have_no_text("Letter of Berg.txt")
    become("Berg & Söhne")
    expect(card("Letter of Berg.txt").find(".theirs")).to have_text("ciphertext").and have_text("x-amz-key-v2")
    expect(bytes_shown("Letter of Berg.txt", ".theirs")).not_to start_with("7468652073616d65")
    expect(page).to have_no_text("Letter of Plain.txt")
    expect(complaints).to eq([])
  end

  it "can switch the customer and store files of both without JavaScript" do
    chromium("Emulation.setScriptExecutionDisabled", value: true)
    visit demo.url
    become("Plain Pages")
    upload(file("By the form.txt", "not encrypted"))
    expect(page).to have_css(".notice", text: "By the form.txt is stored, not encrypted.")
    click_on("Berg & Söhne")
    upload(file("By the form as well.txt", "encrypted"))
    expect(page).to have_css(".notice", text: "By the form as well.txt is encrypted and stored.")
  ensure
    chromium("Emulation.setScriptExecutionDisabled", value: false)
  end

  it "shows the bucket's content for an empty file: nothing, or only the authentication tag" do
    { "Plain Pages" => "0 bytes", "Berg & Söhne" => "16 bytes" }.each do |customer, size|
      visit demo.url
      become(customer)
      upload(file("Nothing.txt", ""))
      expect(page).to have_css(".notice", text: "Nothing.txt is")
      expect(card("Nothing.txt").find(".theirs")).to have_text("Size\n#{size}").or have_text("Size #{size}")
    end
  end

  it "deletes a file with its variants and previews" do
    visit demo.url
    before = objects
    upload(file("To be deleted.pdf", Samples.pdf))
    expect(page).to have_text("To be deleted.pdf is encrypted and stored.")
    load_everything
    expect((objects - before).size).to eq(3)
    visit demo.url
    expect(card("To be deleted.pdf").all(".made li").map(&:text)).to contain_exactly(/\APreview/, /\AThumbnail/)
    click_on("Delete To be deleted.pdf")
    expect(page).to have_text("The file is deleted, here and in the bucket.")
    expect(objects - before).to eq([])
  end
end
