# frozen_string_literal: true

require "open3"
require "tempfile"
require_relative "drawing"

module Demo
  # Creates a film and a recording with ffmpeg, in formats that all browsers play.
  module Film
    # Duration of the film in seconds.
    LENGTH = 12
    # The view moves down by a quarter of the picture, and a bar below shows the progress of the film.
    FILTERS = "[0]crop=640:360:0:'120*(1-t/#{LENGTH})',fps=25[view];" \
              "[view][1]overlay=x='-w+w*t/#{LENGTH}':y=H-h,format=yuv420p[film]".freeze
    private_constant :LENGTH, :FILTERS

    module_function

    # @param path [String] of the MP4 to write
    # @return [Boolean] whether ffmpeg could write it
    def sunset(path)
      Tempfile.create(%w[sunset .png], binmode: true) do |picture|
        picture.write(Drawing.png(640, 480))
        picture.flush
        ffmpeg("-loop", "1", "-framerate", "25", "-t", LENGTH.to_s, "-i", picture.path,
               "-f", "lavfi", "-i", "color=white@0.8:size=640x8:rate=25:duration=#{LENGTH},format=rgba",
               "-f", "lavfi", "-i", "sine=frequency=220:duration=#{LENGTH},volume=0.2",
               "-filter_complex", FILTERS, "-map", "[film]", "-map", "2", "-t", LENGTH.to_s,
               "-c:v", "libx264", "-preset", "veryfast", "-crf", "26", "-g", "50", "-c:a", "aac",
               "-movflags", "+faststart", path)
      end
    end

    # @param path [String] of the MP3 to write
    # @return [Boolean] whether ffmpeg could write it
    def tone(path)
      ffmpeg("-f", "lavfi", "-i", "sine=frequency=440:duration=4,afade=out:duration=4:curve=exp",
             "-c:a", "libmp3lame", path)
    end

    def ffmpeg(*arguments)
      _, status = Open3.capture2e("ffmpeg", "-nostdin", "-v", "error", "-y", *arguments)
      status.success?
    rescue Errno::ENOENT
      false
    end
  end
end
