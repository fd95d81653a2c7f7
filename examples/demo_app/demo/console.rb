# frozen_string_literal: true

module Demo
  # Prints the output: on a terminal with colours and a progress line, otherwise without.
  class Console
    COLOURS = { bold: 1, dim: 2, red: 31, green: 32, yellow: 33, cyan: 36 }.freeze
    private_constant :COLOURS

    # @param out [IO]
    def initialize(out = $stdout)
      @out = out
      @out.sync = true
      @out.set_encoding(Encoding::UTF_8)
      @colourful = terminal? && ENV["NO_COLOR"].to_s.empty?
    end

    # @return [Boolean]
    def terminal? = @out.tty?

    # @param text [String]
    # @return [void]
    def say(text = "") = @out.puts(text)

    # @param text [String]
    # @return [void]
    def title(text) = say("\n#{paint(text, :bold)}\n\n")

    # Prints names and values in two columns.
    # @param pairs [Hash{String => Object}]
    # @param indent [Integer] columns
    # @return [void]
    def facts(pairs, indent = 2)
      width = pairs.keys.map(&:size).max
      pairs.each { |name, value| say("#{" " * indent}#{paint(name.ljust(width), :dim)}  #{value}") }
    end

    # @param name [String] what was checked
    # @param problem [String, nil] the reason if it failed
    # @return [void]
    def check(name, problem)
      say(problem ? "    #{paint("✗ #{name}: #{problem}", :red)}" : "    #{paint("✓", :green)} #{name}")
    end

    # Replaces the progress line; only for terminals.
    # @param text [String]
    # @return [void]
    def moving(text) = @out.print("\r\e[K#{text}")

    # @return [void]
    def interrupt = say("#{"\r\e[K" if terminal?}Interrupted.")

    # @param text [String]
    # @return [void]
    def failure(text) = say(paint("#{"\r\e[K" if terminal?}#{text}", :red))

    # @param text [String]
    # @return [String]
    def paint(text, colour) = @colourful ? "\e[#{COLOURS.fetch(colour)}m#{text}\e[0m" : text

    # Prints columns as wide as their content; all except the first are right-aligned.
    # @param rows [Array<Array<String>>] the first one is the heading
    # @return [void]
    def table(rows)
      widths = rows.transpose.map { |column| column.map(&:size).max }
      rows.each_with_index do |row, line|
        name, *numbers = row.zip(widths)
        text = [name.first.ljust(name.last), *numbers.map { |cell, width| cell.rjust(width) }].join("   ")
        say("  #{line.zero? ? paint(text, :dim) : text}")
      end
    end
  end
end
