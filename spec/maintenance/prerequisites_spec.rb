# frozen_string_literal: true

require_relative "../spec_helper"
require_relative "../support/small_app"

# The errors of tasks in an application that lacks a prerequisite.
RSpec.describe "The tasks in an application that is not ready for them" do
  around { |example| SmallApp.create { |app| (@app = app) && example.run } }

  def said(*command)
    output, errors, status = @app.rails(*command)
    expect(status.exitstatus).to eq(1), output + errors
    expect(output + errors).not_to include("aborted!")
    output + errors
  end

  it "name the missing tables of Active Storage and the commands that create them" do
    messages = %w[audit index migrate unreadable].map { |task| said("encrypted_s3_service:#{task}") }
    expect(messages).to all(include("The database has no table active_storage_blobs. Run " \
                                    "`bin/rails active_storage:install` and `bin/rails db:migrate`."))
  end

  it "report missing Active Storage, and so do the doctor and the generator, which writes nothing" do
    application = @app.read("config/application.rb").sub(%(require "active_storage/engine"\n), "")
    @app.write("config/application.rb", application)
    before = @app.files.except("log/all.log")
    commands = ["encrypted_s3_service:rotate", "encrypted_s3_service:doctor", "generate encrypted_s3_service:install"]
    messages = commands.map { |command| said(*command.split) }
    expect(messages).to all(match(%r{has no Active Storage\. Add `require "active_storage/engine"` to config/appl}))
    expect(@app.files.except("log/all.log")).to eq(before)
  end
end
