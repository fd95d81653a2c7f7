# frozen_string_literal: true

require "json"
require_relative "../support/small_app"

# In a small application with two shards, in a process of its own.
RSpec.describe "The tasks in an application with shards" do
  around { |example| SmallApp.create { |app| (@app = app) && example.run } }

  files = {
    "config/environments/development.rb" =>
      "Rails.application.configure { config.active_storage.service = :local }\n",
    "config/database.yml" => <<~YAML,
      development:
        primary: { adapter: sqlite3, database: tmp/one.sqlite3 }
        primary_shard_two: { adapter: sqlite3, database: tmp/two.sqlite3 }
    YAML
    "config/storage.yml" => <<~YAML,
      local: { service: Disk, root: <%= Rails.root.join("tmp/plain") %> }
      encrypted: { service: EncryptedS3, root: <%= Rails.root.join("tmp/encrypted") %>, encryption_key: #{"k" * 32} }
    YAML
    "app/models/application_record.rb" => <<~RUBY
      class ApplicationRecord < ActiveRecord::Base
        primary_abstract_class
        connects_to shards: { default: { writing: :primary }, two: { writing: :primary_shard_two } }
      end
    RUBY
  }

  # Three files in the first shard, two in the second.
  usage = <<~'RUBY'
    require "encrypted_s3_service/maintenance/migration"
    require "encrypted_s3_service/maintenance/rotation"
    require ActiveStorage::Engine.root.join("db/migrate/20170806125915_create_active_storage_tables")
    ApplicationRecord.table_name
    in_shard = ->(shard, &block) { ActiveRecord::Base.connected_to(shard: shard, &block) }
    { default: 3, two: 2 }.each do |shard, count|
      in_shard.(shard) do
        ActiveRecord::Migration.suppress_messages { CreateActiveStorageTables.new.migrate(:up) }
        count.times do |number|
          ActiveStorage::Blob.create_and_upload!(io: StringIO.new("#{shard} #{number}"), filename: "a.txt",
                                                 service_name: "local")
        end
      end
    end
    answers = %i[default two].to_h do |shard|
      in_shard.(shard) do
        # One at a time, because SQLite does not wait for another transaction.
        options = { from: :local, to: :encrypted, delete: true, concurrency: 1 }
        result = EncryptedS3Service::Migration.new(**options).run
        audit = EncryptedS3Service::Rotation::Audit.new(:encrypted).run
        texts = ActiveStorage::Blob.order(:id).map { |blob| [blob.service_name, blob.download] }
        [shard, [result.moved, result.removed, result.failures.map(&:reason), audit.counts.values.sum(&:total), texts]]
      end
    end
    print answers.to_json
  RUBY

  it "process the files of the current shard" do
    files.each { |name, text| @app.write(name, text) }
    output, errors, status = @app.rails("runner", usage)
    expect(status).to be_success, output + errors
    texts = ->(shard, count) { Array.new(count) { |number| ["encrypted", "#{shard} #{number}"] } }
    expect(JSON.parse(output)).to eq("default" => [3, 3, [], 3, texts.call("default", 3)],
                                     "two" => [2, 2, [], 2, texts.call("two", 2)])
  end
end
