# frozen_string_literal: true

require "openssl"
require_relative "../open_bao_server"
require_relative "../small_app"
require_relative "../test_store"

module Documents
  # An application folder for the code blocks of the documents: the files that the documents assume, and those of one
  # block.
  class Application
    BUCKET = "contracts"
    KEY = "base64:#{[OpenSSL::Digest.digest("SHA256", "the key of the documents")].pack("m0")}".freeze

    # Files that the documents mention but do not contain.
    SURROUNDINGS = {
      "app/models/application_record.rb" => <<~RUBY,
        class ApplicationRecord < ActiveRecord::Base
          self.abstract_class = true
        end
      RUBY
      "app/models/current.rb" => <<~RUBY,
        class Current < ActiveSupport::CurrentAttributes
          attribute :organisation, :person
        end
      RUBY
      "app/models/organisation.rb" => <<~RUBY,
        class Organisation < ApplicationRecord
          include EncryptedS3Service::Tenant
          has_many :contracts
          encrypts_files_with :encrypted_amazon, if: :encrypted?

          def blobs = ActiveStorage::Blob.all
          def blob_ids = blobs.ids
        end
      RUBY
      "config/initializers/a_key_for_each_tenant.rb" => <<~RUBY,
        keys = ->(id) { OpenSSL::Digest.digest("SHA256", id) }
        Rails.application.config.encrypted_s3_service.tenant_keys = { encrypted_amazon: keys }
      RUBY
      "app/models/contract.rb" => <<~RUBY,
        class Contract < ApplicationRecord
          belongs_to :organisation, optional: true
          has_one_attached :pdf, service: :encrypted_amazon
          has_rich_text :body
        end
      RUBY
      "app/models/document.rb" => <<~RUBY,
        class Document < ApplicationRecord
          has_one_attached :file
        end
      RUBY
      "app/models/customer_bucket.rb" => <<~RUBY,
        class CustomerBucket < ApplicationRecord
        end
      RUBY
      "app/models/audit_record.rb" => <<~RUBY,
        class AuditRecord < ApplicationRecord
        end
      RUBY
      "app/controllers/concerns/finds_organisation.rb" => <<~RUBY,
        module FindsOrganisation
          extend ActiveSupport::Concern
          included { before_action { Current.organisation = Organisation.find_by(id: session[:organisation_id]) } }
        end
      RUBY
      "app/controllers/application_controller.rb" => <<~RUBY,
        class ApplicationController < ActionController::Base
        end
      RUBY
      "app/jobs/application_job.rb" => <<~RUBY
        class ApplicationJob < ActiveJob::Base
        end
      RUBY
    }.freeze

    DATABASE = <<~YAML
      development:
        adapter: sqlite3
        database: tmp/documents.sqlite3
        timeout: 5000
    YAML

    STORAGE = <<~YAML
      amazon:
        service: Disk
        root: <%= Rails.root.join("storage") %>

      encrypted_amazon:
        service: EncryptedS3
        bucket: contracts
        encryption_key: <%= Rails.application.credentials.dig(:encrypted_s3, :encryption_key) %>
    YAML

    # @param app [SmallApp]
    # @param block [CodeBlock]
    # @return [Hash{Symbol => Object}] the input of {file:runner.rb}
    def self.prepare(app, block)
      app.credentials = credentials
      files = { "config/storage.yml" => STORAGE, **SURROUNDINGS }
      block.language == "yaml" ? files["config/storage.yml"] = storage(block.code) : files.merge!(block.files)
      added = files.delete("config/application.rb").to_s
      files.each { |path, text| app.write(path, text) }
      app.write("config/database.yml", DATABASE)
      app.write("config/environment.rb", "") # the application is already running when a task loads it
      app.write("report.pdf", "%PDF-1.4 a report")
      app.write("config/office.pem", OpenSSL::PKey::RSA.new(2048).to_pem(OpenSSL::Cipher.new("AES-256-CBC"), "office"))
      app.write("config/recovery-key.pem", OpenSSL::PKey::RSA.new(2048).public_to_pem)
      { id: block.to_s, root: app.root, language: block.language, application: added, script: script(block) }
    end

    # Values that the documents read from the environment.
    def self.environment
      settings = TestStore.settings
      { "AWS_ENDPOINT_URL" => settings[:endpoint], "AWS_REGION" => settings[:region],
        "AWS_ACCESS_KEY_ID" => settings[:access_key_id], "AWS_SECRET_ACCESS_KEY" => settings[:secret_access_key],
        "ENCRYPTION_KEY" => KEY, "FILES_KEY" => KEY, "FILES_KEY_2024" => "base64:#{["o" * 32].pack("m0")}",
        "BAO_ADDR" => OpenBaoServer.shared.address, "BAO_TOKEN" => OpenBaoServer::ROOT, "BAO_ROLE_ID" => "role",
        "OFFICE_PASSPHRASE" => "office", "FORMER_SECRET_KEY_BASE" => "f" * 64, "MASTER_KEY" => KEY }
    end

    def self.credentials
      settings = TestStore.settings
      { "aws" => settings.slice(:access_key_id, :secret_access_key).transform_keys(&:to_s),
        "encrypted_s3" => { "encryption_key" => KEY } }.to_yaml
    end
    private_class_method :credentials

    # The entries of a document, with the unencrypted service that other blocks mention.
    def self.storage(code) = "#{STORAGE[/\Aamazon:.*?\n\n/m]}#{code.gsub("region: eu-central-1", "region: us-east-1")}"
    private_class_method :storage

    def self.script(block) = block.language == "ruby" ? block.script : block.code
    private_class_method :script
  end
end
