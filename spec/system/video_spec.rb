# frozen_string_literal: true

require_relative "../system_helper"

RSpec.describe "A film of 300 MB in a page", browser: true do
  # Two seconds of noise, which cannot be compressed; then the same again and again.
  def write_film(path, seconds:, bytes:)
    Dir.mktmpdir do |folder|
      piece = File.join(folder, "piece.mp4")
      noise = "color=gray:size=640x360:rate=20:duration=2,noise=alls=90:allf=t"
      Samples.run("ffmpeg", "-v", "error", "-f", "lavfi", "-i", noise, "-c:v", "libx264", "-preset", "ultrafast",
                  "-qp", "6", "-g", "10", "-pix_fmt", "yuv420p", piece)
      times = [bytes.fdiv(File.size(piece)).ceil, seconds / 2].max
      Samples.run("ffmpeg", "-v", "error", "-stream_loop", (times - 1).to_s, "-i", piece, "-c", "copy",
                  "-movflags", "+faststart", path)
    end
  end

  def video(script) = evaluate_script("document.querySelector('video').#{script}")

  def play(address)
    visit "/documents/new"
    execute_script(<<~JAVASCRIPT, address)
      const video = document.createElement("video")
      video.muted = true
      video.src = arguments[0]
      document.body.prepend(video)
      video.play()
    JAVASCRIPT
    wait_for("the film to play") { video("currentTime").positive? }
    length = video("duration")
    [0.8, 0.3, 0.95].each do |part|
      execute_script("document.querySelector('video').currentTime = arguments[0]", length * part)
      wait_for("the film to play on") { video("currentTime") > (length * part) + 0.1 && video("readyState") >= 3 }
    end
    expect(video("error")).to be_nil
  end

  it "plays, and continues from any position, by ranges of the file, at a link and at Rails' proxy" do
    Dir.mktmpdir do |folder|
      path = File.join(folder, "film.mp4")
      write_film(path, seconds: 20, bytes: 300_000_000)
      blob = File.open(path, "rb") { |file| ActiveStorage::Blob.create_and_upload!(io: file, filename: "film.mp4") }
      proxy = Rails.application.routes.url_helpers.rails_storage_proxy_path(blob, only_path: true)
      { "/encrypted_s3/" => link_to_blob(blob), "/blobs/proxy/" => proxy }.each do |part_of_path, address|
        play(address)
        answers = requests.select { |request| request.path.include?(part_of_path) }
        expect(answers.map(&:status)).to all(eq(206))
        # Forwards and back, and nothing from the beginning again.
        expect(answers.map { |answer| answer.range[/\d+/].to_i }).to start_with(0).and include(be > 200_000_000)
          .and include(be_between(50_000_000, 150_000_000))
      end
      expect(complaints).to eq([])
    end
  end
end
