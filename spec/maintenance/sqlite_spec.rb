# frozen_string_literal: true

require_relative "../rails_helper"
require "encrypted_s3_service/maintenance/task_run/environment"

# The database of a new application, in which threads wait for each other.
RSpec.describe "The tasks on SQLite" do
  def concurrency(variables = {}) = EncryptedS3Service::TaskRun::Environment.new(variables).concurrency(4)

  def database(adapter) = allow(ActiveRecord::Base.connection_db_config).to receive(:adapter).and_return(adapter)

  it "process one file at a time before Rails 8 by default" do
    expect(ActiveRecord::Base.connection_db_config.adapter).to eq("sqlite3")
    expect(concurrency).to eq(ActiveRecord.version < Gem::Version.new("8.0") ? 1 : 4)
    expect(concurrency("CONCURRENCY" => "3")).to eq(3)
    database("postgresql")
    expect(concurrency).to eq(4)
  end

  it "name the database's own error, without its text, when a file fails" do
    ActiveRecord::Base.connection.execute("SELECT secret FROM nowhere")
  rescue ActiveRecord::StatementInvalid => e
    expect(EncryptedS3Service::TaskRun::Failure.of(1, e).to_s)
      .to match(/\Ablob 1: ActiveRecord::StatementInvalid \(SQLite3::\w+\)\z/)
  else
    raise "The statement did not fail."
  end
end
