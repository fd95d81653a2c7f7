# frozen_string_literal: true

require_relative "../spec_helper"
require_relative "../support/small_app"

# What a server or a CI says that was not given the key of the credentials. Who followed an advice to make a new
# encryption key could not read the files that are there.
RSpec.describe "An application whose credentials cannot be read" do
  around do |example|
    SmallApp.create do |app|
      @app = app
      app.write("config/storage.yml", <<~YAML)
        enc:
          service: EncryptedS3
          root: <%= Rails.root.join("storage") %>
          encryption_key: <%= Rails.application.credentials.dig(:encrypted_s3, :encryption_key) %>
      YAML
      app.credentials = "encrypted_s3:\n  encryption_key: #{"k" * 32}\n"
      example.run
    end
  end

  attr_reader :app

  advice = "config/credentials.yml.enc cannot be read here: if the key is in it, set RAILS_MASTER_KEY or put its key " \
           "into config/master.key. Otherwise: "
  upload = %(ActiveStorage::Blob.services.fetch(:enc).upload("a", StringIO.new("a")))

  def said(*command, env: {})
    output, errors, status = app.rails(*command, env: { "CI" => nil, **env })
    expect(status).not_to be_success
    output + errors
  end

  def lose_key = FileUtils.rm(app.path("config/master.key"))

  it "gets an error that says where the key of the credentials belongs: at boot, on first use and in the doctor" do
    lose_key
    expect(said("runner", "p 1", env: { "RAILS_ENV" => "production" }))
      .to include("`enc` of config/storage.yml is wrong: encryption_key is missing. #{advice}make one with: ruby")
    expect(said("runner", upload)).to include("encryption_key is missing. #{advice}make one with: ruby")
    expect(said("encrypted_s3_service:doctor"))
      .to include("missing. #{advice}generate one with `bin/rails encrypted_s3_service:generate_key`")
  end

  it "is told to copy the key into the credentials of its environment, because Rails reads no others" do
    app.write("config/credentials/production.key", key = ActiveSupport::EncryptedFile.generate_key)
    ActiveSupport::EncryptedFile.new(content_path: app.path("config/credentials/production.yml.enc"), env_key: "NONE",
                                     key_path: app.path("config/credentials/production.key"),
                                     raise_if_missing_key: true).write("aws: none\n")
    message = said("runner", "p 1", env: { "RAILS_ENV" => "production" })
    expect(message).to include("is missing. Rails reads only config/credentials/production.yml.enc")
      .and include("`bin/rails credentials:edit --environment production`. Otherwise: make one with: ruby")
    expect(message).not_to include(key)
  end

  it "gets no such error if the credentials can be read and lack the key" do
    app.credentials = "aws: none\n"
    expect(said("runner", upload)).to include("encryption_key is missing. Make one with: ruby")
  end
end
