# frozen_string_literal: true

require "open3"
require "tmpdir"

# Small pictures, documents, films and recordings, created with the real tools on first use.
module Samples
  # The text of the PDF, for searching.
  PDF_TEXT = "A will that nobody may read"

  module_function

  # @return [String] a JPEG of coloured clouds
  def jpeg(width, height)
    remember([:jpeg, width, height]) { magick("-size", "#{width}x#{height}", "plasma:tomato-steelblue", "jpeg:-") }
  end

  # @return [String] a PNG of coloured clouds
  def png(width, height)
    remember([:png, width, height]) { magick("-size", "#{width}x#{height}", "plasma:tomato-steelblue", "png:-") }
  end

  # @return [String] a JPEG as from a camera that was held upright: in landscape format, with an orientation in Exif
  def turned_jpeg(width, height)
    # Exif 2.32: one entry, the orientation (0x0112), whose value 6 says that row 0 is the right side.
    tiff = ["MM", 42, 8, 1, 0x0112, 3, 1, 6, 0, 0].pack("a2nNnnnNnnN")
    exif = "Exif\0\0#{tiff}".b
    picture = jpeg(height, width)
    picture.byteslice(0, 2) + ["\xFF\xE1".b, exif.bytesize + 2].pack("a2n") + exif + picture.byteslice(2..)
  end

  # @return [String] an uncompressed PDF of one page of 200 by 100 points with {PDF_TEXT}
  def pdf
    page = "BT /F1 12 Tf 10 50 Td (#{PDF_TEXT}) Tj ET\n"
    pdf_of(["<< /Type /Catalog /Pages 2 0 R >>", "<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
            "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 200 100] /Contents 4 0 R " \
            "/Resources << /Font << /F1 5 0 R >> >> >>",
            "<< /Length #{page.bytesize} >>\nstream\n#{page}endstream",
            "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>"])
  end

  # @param turned [Boolean] whether its metadata contain a rotation, as from a phone held upright
  # @return [String] an MP4 of 2 seconds with a tone, stored as 96 by 64 pixels
  def video(turned: false)
    remember([:video, turned]) do
      next turn(video) if turned

      ffmpeg("film.mp4", *%w[-f lavfi -i testsrc=size=96x64:rate=10:duration=2 -f lavfi -i sine=duration=2
                             -c:v libx264 -pix_fmt yuv420p -c:a aac])
    end
  end

  # @return [String] an MP3 of 2 seconds, 22,050 samples a second, 64 kbit/s, with a title
  def audio
    remember(:audio) do
      ffmpeg("tone.mp3", *%w[-f lavfi -i sine=duration=2 -ar 22050 -c:a libmp3lame -b:a 64k -metadata title=Tone])
    end
  end

  def remember(name) = (@made ||= {})[name] ||= yield.b.freeze

  def magick(*arguments) = run("magick", *arguments)

  def turn(film)
    Tempfile.create(%w[film .mp4], binmode: true) do |file|
      file.write(film)
      file.flush
      ffmpeg("turned.mp4", "-display_rotation", "90", "-i", file.path, "-c", "copy")
    end
  end

  def ffmpeg(name, *arguments)
    Dir.mktmpdir do |folder|
      run("ffmpeg", "-v", "error", *arguments, path = File.join(folder, name))
      File.binread(path)
    end
  end

  def run(*command)
    output, errors, status = Open3.capture3(*command, binmode: true)
    raise "#{command.first} failed: #{errors}" unless status.success?

    output
  end

  def pdf_of(objects)
    file = "%PDF-1.4\n%\xE2\xE3\xCF\xD3\n".b
    offsets = objects.each_with_index.map do |object, index|
      file.bytesize.tap { file << "#{index + 1} 0 obj\n#{object}\nendobj\n" }
    end
    size = objects.size + 1
    table = offsets.map { |offset| format("%010<offset>d 00000 n \n", offset:) }.join
    "#{file}xref\n0 #{size}\n0000000000 65535 f \n#{table}".b <<
      "trailer\n<< /Size #{size} /Root 1 0 R >>\nstartxref\n#{file.bytesize}\n%%EOF\n"
  end
end
