# frozen_string_literal: true

require "open3"
require "rbconfig"

# Applications, tasks, consoles and programs without Rails begin with different parts of the gem.
RSpec.describe EncryptedS3Service, if: Process.respond_to?(:fork) do
  def first_loads(how)
    library, program = %w[lib spec/support/first_loads.rb].map { |path| File.expand_path("../../#{path}", __dir__) }
    output, status = Open3.capture2e(RbConfig.ruby, "-I", library, program, how)
    [output, status.success?]
  end

  it "loads every constant and file first without a warning or an error", if: Gem.loaded_specs.key?("railties") do
    expect(first_loads("rails")).to match([/\A\d{3} loaded\n\z/, true])
  end

  it "does so without Rails for the parts that do not need it" do
    expect(first_loads("alone")).to match([/\A\d{2} loaded\n\z/, true])
  end
end
