# frozen_string_literal: true

require "erb"
require_relative "format"
require_relative "../contenders"

module Bench
  # The results as a chart: a group of bars for each work and quantity, of which the longest has full length.
  class Chart
    COLUMNS = { wall: "time", cpu: "CPU", growth: "memory growth", stall: "longest stall" }.freeze
    # The smallest value of a bar with full length, because smaller differences do not matter.
    LEAST = { growth: 16 << 20, stall: 0.01 }.freeze
    BAR = 9
    PITCH = BAR + 2
    GROUP = (PITCH * 3) + 8
    LABELS = 150
    COLUMN = 250
    FULL = 165
    MARGIN = 24
    private_constant :COLUMNS, :LEAST, :BAR, :PITCH, :GROUP, :LABELS, :COLUMN, :FULL, :MARGIN

    # Follows the viewer's color scheme. The chart has its own background, so that it is legible on any page.
    STYLE = <<~CSS
      .page { fill: #ffffff } text { fill: #1f2328; font: 12px system-ui, -apple-system, "Segoe UI", sans-serif }
      .title { font-size: 15px; font-weight: 600 } .head { font-weight: 600 } .value { font-size: 9.5px; fill: #59636e }
      .gem { fill: #0f7b6c } .reference { fill: #d9822b } .plain { fill: #9aa4af } .rule { stroke: #d1d9e0 }
      @media (prefers-color-scheme: dark) {
        .page { fill: #0d1117 } text { fill: #e6edf3 } .value { fill: #9198a1 }
        .gem { fill: #2bb5a0 } .reference { fill: #e0954a } .plain { fill: #6e7681 } .rule { stroke: #30363d }
      }
    CSS
    private_constant :STYLE

    # @param all [Array<Results>]
    # @param titles [Hash{String => String}] of the servers
    def initialize(all, titles)
      @all = all
      @titles = titles
    end

    # @return [String] SVG
    def to_svg
      @shapes = []
      @bottom = MARGIN
      legend
      @all.each { |results| section(results) }
      width = (MARGIN * 2) + LABELS + (COLUMN * COLUMNS.size)
      <<~SVG
        <svg xmlns="http://www.w3.org/2000/svg" width="#{width}" height="#{@bottom}" viewBox="0 0 #{width} #{@bottom}" role="img">
        <title>This gem, the reference and plain S3Service: time, CPU, memory growth and longest stall</title>
        <style>#{STYLE}</style>
        <rect class="page" width="100%" height="100%" rx="8"/>
        #{@shapes.join("\n")}
        </svg>
      SVG
    end

    private

    def legend
      Contenders::ALL.each_with_index do |(name, title), index|
        left = MARGIN + LABELS + (index * COLUMN)
        rectangle(name, left, @bottom, 12, 12)
        text(title, left + 18, @bottom + 10)
      end
      text("shorter is better", MARGIN, @bottom + 10)
      @bottom += 24
    end

    def section(results)
      text(@titles.fetch(results.server), MARGIN, @bottom + 24, "title")
      @bottom += 48
      COLUMNS.each_value.with_index { |title, index| text(title, left_of(index), @bottom, "head") }
      @bottom += 8
      results.works.each { |work| row(results, work) if work.contenders.size > 1 }
      @bottom += MARGIN
    end

    def row(results, work)
      right = left_of(COLUMNS.size) - 20
      @shapes << %(<line class="rule" x1="#{MARGIN}" x2="#{right}" y1="#{@bottom}" y2="#{@bottom}"/>)
      text(work.title, MARGIN, @bottom + (GROUP / 2) + 4)
      COLUMNS.each_key.with_index { |quantity, index| bars(results, work, quantity, left_of(index)) }
      @bottom += GROUP
    end

    def bars(results, work, quantity, left)
      values = Contenders::ALL.keys.to_h { |name| [name, results.value(work, name, quantity)] }.compact
      longest = [*values.values, LEAST.fetch(quantity, Float::MIN)].max
      values.each_with_index do |(name, value), index|
        top = @bottom + 5 + (index * PITCH)
        width = [(FULL * value / longest).round(1), 1].max
        rectangle(name, left, top, width, BAR)
        text(Format.quantity(quantity, value), left + width + 5, top + BAR - 0.5, "value")
      end
    end

    def left_of(index) = MARGIN + LABELS + (index * COLUMN)

    def rectangle(name, left, top, width, height)
      @shapes << %(<rect class="#{name}" x="#{left}" y="#{top}" width="#{width}" height="#{height}" rx="1.5"/>)
    end

    def text(words, left, baseline, style = nil)
      @shapes << %(<text x="#{left}" y="#{baseline}"#{%( class="#{style}") if style}>#{ERB::Util.h(words)}</text>)
    end
  end
end
