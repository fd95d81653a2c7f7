# frozen_string_literal: true

require_relative "../rails_helper"
require_relative "../support/task_helpers"
require_relative "../support/kills/campaign"

# `kill -9` at random moments. KILLS is the number of processes to kill for each kind of work.
RSpec.describe "A process that is killed", if: Process.respond_to?(:fork), patience: 3600 do
  include TaskHelpers

  kills = Integer(ENV.fetch("KILLS", 2))

  around do |example|
    server.create_bucket(Kills::Workload::BUCKET)
    EncryptedS3Service::Migration::FormerKeys.prepare
    forget_all_files
    resolving(Kills::Workload.entries) { example.run }
  ensure
    forget_all_files
  end

  [Kills::Uploads, Kills::DirectUploads, Kills::Rotations, Kills::Reencryption, Kills::Indexing,
   Kills::Migrations, Kills::MigrationsInOneBucket].each do |workload|
    it "during #{workload.new.name} leaves bucket and database consistent, and the next run succeeds" do
      report = Kills::Campaign.new(workload.new, kills).run
      expect(report.problems).to eq([])
      expect(report.kills).to eq(kills)
      RSpec.configuration.reporter.message("  #{report.to_h.except(:problems)}") if ENV.key?("KILLS")
    end
  end
end
