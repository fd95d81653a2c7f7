# frozen_string_literal: true

module Documents
  # A fenced block of code in a document.
  class CodeBlock
    ROOT = File.expand_path("../../..", __dir__)
    PATH_LINE = %r{\A# ((?:app|config|lib|spec|test)/[\w/.]+\.(?:rb|yml))\n?\z}
    private_constant :ROOT, :PATH_LINE

    # @return [Array<CodeBlock>] the blocks of README, UPGRADING, CONTRIBUTING and of every file in docs
    def self.all
      Dir[File.join(ROOT, "{README,UPGRADING,CONTRIBUTING}.md"), File.join(ROOT, "docs/*.md")].flat_map do |file|
        in_text(File.read(file), file.delete_prefix("#{ROOT}/"))
      end
    end

    def self.in_text(text, file)
      blocks = []
      text.each_line.with_index(1) do |line, number|
        if blocks.last.is_a?(CodeBlock) && blocks.last.open?
          blocks.last.take(line)
        elsif (language = line[/\A```(\w*)/, 1])
          blocks << new(file, number, language)
        end
      end
      blocks
    end

    attr_reader :file, :line, :language, :code

    def initialize(file, line, language)
      @file = file
      @line = line
      @language = language
      @code = +""
      @open = true
    end

    def open? = @open

    def take(text) = text.start_with?("```") ? @open = false : @code << text

    def to_s = "#{file}:#{line}"

    # The files that the block adds to an application. A new file begins after a comment that is a path, and with a
    # class or module.
    # @return [Hash{String => String}] texts by path
    def files
      parts.reject { |path, _| path.nil? }.each_with_object({}) { |(path, text), files| (files[path] ||= +"") << text }
    end

    # @return [String] the remaining code, which is run
    def script = parts.filter_map { |path, text| text if path.nil? }.join

    private

    # @return [Array<Array(String, String)>] path (nil for code that is run) and text
    def parts
      path = nil
      parts = []
      code.each_line do |line|
        if line.match?(PATH_LINE)
          path = line[PATH_LINE, 1]
        else
          place = path || place_of(line, parts.last)
          parts.last && parts.last[0] == place ? parts.last[1] << line : parts << [place, +line]
        end
      end
      parts
    end

    # A class without a path goes where Rails looks for it by its name.
    def place_of(line, last)
      name = line[/\A(?:class|module) (\w+)/, 1]
      return folder_of(line, name) + "#{name.gsub(/(?<=[a-z0-9])(?=[A-Z])/, "_").downcase}.rb" if name
      return if last.nil? || last[0].nil? || last[1].match?(/^end\n\z/)

      last[0]
    end

    def folder_of(line, name)
      case name
      when /Controller\z/ then "app/controllers/"
      when /Job\z/ then "app/jobs/"
      else line.start_with?("module") ? "app/controllers/concerns/" : "app/models/"
      end
    end
  end
end
