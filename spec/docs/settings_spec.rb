# frozen_string_literal: true

require_relative "../rails_helper"

RSpec.describe "docs/settings.md" do
  rows = File.readlines(File.expand_path("../../docs/settings.md", __dir__)).grep(/^\|/)
  named = rows.flat_map { |row| row[/\A\|([^|]*)\|/, 1].scan(/`([a-z_.0-9]+)`/).flatten }

  it "has every setting of storage.yml" do
    settings = EncryptedS3Service::Configuration.const_get(:NAMES).map(&:to_s) - ["upload"]
    expect(settings - named).to eq([])
  end

  it "has every setting of the application" do
    expect(EncryptedS3Service::Engine::Settings.declarations.keys.map(&:to_s) - named).to eq([])
  end

  it "has no others" do
    known = [*EncryptedS3Service::Configuration.const_get(:NAMES),
             *EncryptedS3Service::Engine::Settings.declarations.keys]
    object_settings = EncryptedS3Service::Configuration.const_get(:OBJECT_NAMES).map(&:to_s)
    others = named.reject { |name| name.start_with?("upload.") } - known.map(&:to_s) - object_settings
    expect(others).to eq([])
  end
end
