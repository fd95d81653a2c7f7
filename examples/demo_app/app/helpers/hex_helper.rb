# frozen_string_literal: true

# Shows bytes.
module HexHelper
  # @param data [String] binary
  # @param width [Integer] bytes in a line
  # @param label [String] the accessible name
  # @return [ActiveSupport::SafeBuffer] offset, hexadecimal bytes and printable characters, line by line
  def hex_dump(data, width, label:)
    lines = data.b.scan(/.{1,#{width}}/mn).each_with_index.map do |piece, line|
      safe_join([tag.span(format("%02<at>x", at: line * width), class: "offset"),
                 piece.unpack1("H*").scan(/../).join(" ").ljust((width * 3) - 1),
                 tag.span(printable(piece), class: "characters")], "  ")
    end
    # With tabindex, because the dump can be wider than the page, and scrolling it must be possible without a mouse.
    tag.pre(safe_join(lines, "\n"), class: "hex", tabindex: 0, role: "region", aria: { label: label })
  end

  private

  def printable(data) = data.each_char.map { |char| char.match?(/[ -~]/n) ? char : "·" }.join
end
