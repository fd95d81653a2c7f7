# frozen_string_literal: true

require "json"
require "open3"

# Two pages name the specs that show their claims. A renamed spec must not leave them behind.
RSpec.describe "The specs that the documents name" do
  root = File.expand_path("../..", __dir__)
  pages = %w[docs/conformance.md docs/security-model.md]
  quoted = /"[^"]+"(?:, "[^"]+")*/
  words = /`\w+`(?:, `\w+`)*/

  # @return [Array<Array(String, String)>] a file of spec and a text that an example in it has
  define_method(:examples_named) do |text|
    text.gsub(/\s+/, " ").scan(%r{`((?:\w+/)*\w+_spec)`: (#{quoted})}).flat_map do |file, texts|
      texts.scan(/"([^"]+)"/).map { |(description)| ["spec/#{file}.rb", description] }
    end
  end

  # @return [Array<Array(String, String)>] a file of the core's tests and a function in it
  define_method(:tests_named) do |text|
    text.gsub(/\s+/, " ").scan(%r{`core/(\w+)`: (#{words})}).flat_map do |file, names|
      names.scan(/`(\w+)`/).map { |(name)| ["ext/encrypted_s3_core/tests/main/#{file}.rs", name] }
    end
  end

  # Lists every example of these files without running any. On a database of its own: loading the specs makes its
  # tables.
  def descriptions(files)
    output, status = Open3.capture2({ "DUMMY_RUN" => "references" }, "rspec", "--dry-run", "--format", "json", *files)
    raise "rspec --dry-run failed: #{output.lines.last(5).join}" unless status.success?

    examples = JSON.parse(output[output.index("{")..])["examples"]
    examples.group_by { |example| example["file_path"].delete_prefix("./") }
            .transform_values { |group| group.map { |example| example["full_description"] } }
  end

  it "exist, with the examples that are named", patience: 300 do
    named = pages.flat_map { |page| examples_named(File.read(File.join(root, page))) }.uniq
    expect(named.size).to be > 100
    files = named.map(&:first).uniq
    expect(files.reject { |file| File.exist?(File.join(root, file)) }).to be_empty
    known = descriptions(files)
    missing = named.reject { |file, text| known.fetch(file, []).any? { |description| description.include?(text) } }
    expect(missing).to be_empty
  end

  it "are functions of the core's tests where those are named" do
    named = pages.flat_map { |page| tests_named(File.read(File.join(root, page))) }.uniq
    expect(named.size).to be > 15
    missing = named.reject do |file, name|
      path = File.join(root, file)
      File.exist?(path) && File.read(path).match?(/\bfn #{name}\(/)
    end
    expect(missing).to be_empty
  end

  it "are named in each row of the tables, unless it says why there are none" do
    tables = pages.flat_map { |page| File.read(File.join(root, page)).scan(/(?:^\|.*\|\n)+/) }
    answers = tables.map { |table| table.lines.map { |row| row[/\|([^|]*)\|\n\z/, 1].strip } }
                    .select { |cells| ["tested by", "shown by"].include?(cells.first) }
                    .flat_map { |cells| cells.drop(2) }
    expect(answers.size).to be > 60
    expect(answers.grep_v(%r{`[\w/]+_spec`: "|`core/\w+`: `|Does not apply|Departs|Not |the same|see \[})).to be_empty
  end
end
