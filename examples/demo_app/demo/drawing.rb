# frozen_string_literal: true

require "zlib"

module Demo
  # Generates a picture and a document, so that none has to be shipped.
  module Drawing
    SIGNATURE = "\x89PNG\r\n\x1a\n".b
    SKY = [[28, 25, 70], [190, 70, 110], [250, 190, 110]].freeze
    SEA = [[120, 62, 100], [16, 18, 48]].freeze
    SUN = [255, 232, 180].freeze
    private_constant :SIGNATURE, :SKY, :SEA, :SUN

    module_function

    # @return [String] a PNG of a sunset at sea
    def png(width, height)
      rows = Array.new(height) do |y|
        "\0".b << Array.new(width) { |x| colour(x.fdiv(width), y.fdiv(height)) }.flatten.pack("C*")
      end
      SIGNATURE + png_chunk("IHDR", [width, height, 8, 2, 0, 0, 0].pack("NNC5")) +
        png_chunk("IDAT", Zlib.deflate(rows.join)) + png_chunk("IEND", "")
    end

    # @param title [String] ASCII without parentheses and backslashes
    # @param lines [Array<String>] of the same kind
    # @return [String] a PDF of one page
    def pdf(title, lines)
      texts = [[26, 720, title], *lines.each_with_index.map { |line, index| [13, 670 - (index * 24), line] }]
      page = texts.map { |size, y, text| "BT /F1 #{size} Tf 72 #{y} Td (#{text}) Tj ET\n" }.join
      pdf_file(["<< /Type /Catalog /Pages 2 0 R >>", "<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
                "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents 4 0 R " \
                "/Resources << /Font << /F1 5 0 R >> >> >>",
                "<< /Length #{page.bytesize} >>\nstream\n#{page}endstream",
                "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
                "<< /Title (#{title}) >>"])
    end

    # Pixels vary a little, so that each run has a different file.
    def colour(across, down)
      return SUN if down < 0.6 && Math.hypot((across - 0.5) * 4 / 3, down - 0.5) < 0.12

      base = down < 0.6 ? blend(SKY, down / 0.6) : blend(SEA, (down - 0.6) / 0.4)
      base.map { |value| (value + rand(-4..4)).clamp(0, 255) }
    end

    def blend(colours, position)
      index, rest = (position * (colours.size - 1)).divmod(1)
      colours[index].zip(colours[index + 1]).map { |from, to| (from + ((to - from) * rest)).round }
    end

    def png_chunk(type, data)
      [data.bytesize].pack("N") + type.b + data.b + [Zlib.crc32(type + data)].pack("N")
    end

    def pdf_file(objects)
      file = "%PDF-1.4\n%\xE2\xE3\xCF\xD3\n".b
      offsets = objects.each_with_index.map do |object, index|
        file.bytesize.tap { file << "#{index + 1} 0 obj\n#{object}\nendobj\n" }
      end
      table = offsets.map { |offset| format("%010<offset>d 00000 n \n", offset:) }.join
      size = objects.size + 1
      "#{file}xref\n0 #{size}\n0000000000 65535 f \n#{table}".b <<
        "trailer\n<< /Size #{size} /Root 1 0 R /Info #{objects.size} 0 R >>\nstartxref\n#{file.bytesize}\n%%EOF\n"
    end
  end
end
