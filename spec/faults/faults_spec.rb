# frozen_string_literal: true

require_relative "../rails_helper"
require_relative "../support/task_helpers"
require_relative "../support/faults/leaks"
require_relative "../support/faults/rails_operations"
require_relative "../support/faults/survey"
require_relative "../support/faults/table"

# Every operation, with every fault at every S3 call. `rake faults` runs all trials and writes docs/faults.md. Otherwise
# every other fault happens once to each operation, and the outcome is compared with the page.
RSpec.describe "An operation that meets a fault" do
  include TaskHelpers

  all = ENV.key?("FAULTS")
  client_operations = Faults::ClientOperations.all
  operations = (client_operations + Faults::RailsOperations.all).each_with_index.to_h
  results = []
  leaks = {}

  # All at once, because most of the time is spent waiting. Only the needed trials run.
  before(:context) do
    wanted = self.class.filtered_examples.map { |example| example.metadata[:operation] }
    EncryptedS3Service::Migration::FormerKeys.prepare
    server.create_bucket("#{bucket}-elsewhere")
    folder = Dir.mktmpdir
    before = ENV.fetch("TMPDIR", nil)
    ENV["TMPDIR"] = folder
    resolving(Faults::World.entries) do
      chosen = operations.select { |operation, _| wanted.include?(operation.name) }
      left = Faults::Leaks.new(Faults::FaultyStore::PORTS, except: URI(server.endpoint).port)
      # The database of the dummy application has 10 connections.
      groups = chosen.partition { |operation, _| client_operations.include?(operation) }
      groups.zip([20, 8]) do |some, threads|
        results.concat(Faults::Survey.new(some.to_h, short: !all, threads: threads).results)
      end
      leaks.merge!(left.found)
    end
  ensure
    ENV["TMPDIR"] = before
    FileUtils.rm_rf(folder) if folder
    forget_all_files
  end

  operations.each_key do |operation|
    it "#{operation} succeeds or fails with the documented error, and leaves nothing", operation: operation.name do
      found = results.select { |result| result.operation == operation }
      expect(found).not_to be_empty
      # The number of ranges under way depends on time, so a call may not occur.
      expect(found.count(&:met)).to be >= (found.size * 0.8).floor
      expect(found.reject { |result| result.problems.empty? }.join("\n")).to eq("")
      expect(leaks).to eq({})
    end
  end

  it "has the results of docs/faults.md", operation: operations.first.first.name, unless: all do
    skip "docs/faults.md is not there" unless File.exist?(Faults::Table::PATH)
    page = File.read(Faults::Table::PATH)
    expect(results.select(&:met).reject { |result| Faults::Table.says?(page, result) }.join("\n")).to eq("")
  end

  after(:context) do
    complete = all && results.map(&:operation).uniq.size == operations.size
    File.write(Faults::Table::PATH, Faults::Table.page(results.select(&:met), operations.keys)) if complete
  end
end
