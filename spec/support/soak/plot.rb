# frozen_string_literal: true

require_relative "samples"

module Soak
  # Draws samples as an SVG: a panel for each series, a line for each worker.
  class Plot
    TITLES = { resident_set: "resident set, MiB", descriptors: "file descriptors", threads: "threads",
               connections: "connections to the store" }.freeze
    COLOURS = %w[#1f6feb #d1570a].freeze
    WIDTH = 860
    PANEL = 110
    LEFT = 60
    GAP = 44

    # @param samples [Samples]
    # @param title [String]
    def initialize(samples, title)
      @samples = samples
      @title = title
    end

    # @return [String]
    def to_svg
      height = (TITLES.size * (PANEL + GAP)) + 60
      panels = TITLES.each_with_index.map do |(series, title), index|
        panel(series, title, 40 + (index * (PANEL + GAP)))
      end
      <<~SVG
        <svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 #{WIDTH} #{height}" font-family="sans-serif" font-size="12">
        <rect width="#{WIDTH}" height="#{height}" fill="#ffffff"/>
        <text x="#{LEFT}" y="18" font-size="13">#{@title}</text>
        #{panels.join("\n")}
        <text x="#{LEFT}" y="#{height - 12}">minutes; one line for each worker</text>
        </svg>
      SVG
    end

    private

    def panel(series, title, top)
      lines = @samples.of(series)
      most = [lines.flatten.max * 1.1, 1].max
      drawn = lines.each_with_index.map { |values, worker| line(values, most, top, COLOURS[worker % COLOURS.size]) }
      [%(<text x="#{LEFT}" y="#{top - 6}">#{title}</text>),
       %(<path d="M#{LEFT} #{top}v#{PANEL}h#{WIDTH - LEFT - 20}" fill="none" stroke="#8c959f"/>),
       mark(top + 4, most.round), mark(top + PANEL, 0), *minutes(top + PANEL), *drawn].join("\n")
    end

    def mark(y_place, number) = %(<text x="#{LEFT - 8}" y="#{y_place}" text-anchor="end">#{number}</text>)

    def minutes(bottom)
      whole = (longest / 60.0).ceil
      (0..whole).step([whole / 5, 1].max).filter_map do |minute|
        next if minute * 60 > longest

        %(<text x="#{x_of(minute * 60)}" y="#{bottom + 14}" text-anchor="middle">#{minute}</text>)
      end
    end

    def line(values, most, top, colour)
      points = values.zip(@samples.times).map do |value, time|
        "#{x_of(time)},#{(top + (PANEL * (1 - (value / most)))).round(1)}"
      end
      %(<polyline points="#{points.join(" ")}" fill="none" stroke="#{colour}" stroke-width="1.5"/>)
    end

    def x_of(seconds) = (LEFT + ((WIDTH - LEFT - 20) * seconds / longest)).round(1)

    def longest = [@samples.times.last, 1].max
  end
end
