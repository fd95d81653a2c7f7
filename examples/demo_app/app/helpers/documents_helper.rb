# frozen_string_literal: true

# Small parts of the page.
module DocumentsHelper
  # @param blob [ActiveStorage::Blob]
  # @return [ActiveSupport::SafeBuffer] the picture itself, or the ending of the file's name
  def thumbnail(blob)
    return image_tag(rails_storage_proxy_path(blob), alt: "", class: "thumbnail") if shown_as_picture?(blob)

    tag.span(blob.filename.extension.presence&.first(4) || "file", class: "thumbnail ending", aria: { hidden: true })
  end

  # @param bytes [Integer]
  # @return [String]
  def exact_size(bytes) = "#{number_with_delimiter(bytes)} #{"byte".pluralize(bytes)}"

  # @param bytes [Integer]
  # @return [String]
  def readable_size(bytes) = bytes < 1024 ? exact_size(bytes) : "#{number_to_human_size(bytes)} (#{exact_size(bytes)})"

  # @param data [String] binary
  # @param width [Integer] bytes in a line
  # @return [ActiveSupport::SafeBuffer] offset, hexadecimal bytes and printable characters, line by line
  def hex_dump(data, width)
    lines = data.b.scan(/.{1,#{width}}/mn).each_with_index.map do |piece, line|
      safe_join([tag.span(format("%02<at>x", at: line * width), class: "offset"),
                 piece.unpack1("H*").scan(/../).join(" ").ljust((width * 3) - 1),
                 tag.span(printable(piece), class: "characters")], "  ")
    end
    # It can be wider than the page, and then is scrolled, which must be possible without a mouse.
    tag.pre(safe_join(lines, "\n"), class: "hex", tabindex: 0)
  end

  private

  def printable(data) = data.each_char.map { |char| char.match?(/[ -~]/n) ? char : "·" }.join

  # Larger pictures would make the page slow.
  def shown_as_picture?(blob)
    blob.content_type.in?(%w[image/png image/jpeg image/gif image/webp]) && blob.byte_size < 4.megabytes
  end
end
