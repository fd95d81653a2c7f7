# frozen_string_literal: true

require_relative "../rails_helper"
require_relative "../support/small_app"

# Any part of Rails makes a file: the application has set its attribute, as it does there for its own purposes, and
# includes nothing of this gem.
RSpec.describe EncryptedS3Service::CurrentTenant, "in all of Rails" do
  let(:files) do
    {
      "config/storage.yml" => <<~YAML,
        local: { service: Disk, root: tmp/storage }
        encrypted:
          service: EncryptedS3
          root: tmp/encrypted
          encryption_key: "base64:#{["k" * 32].pack("m0")}"
      YAML
      "config/database.yml" => "development: { adapter: sqlite3, database: tmp/development.sqlite3 }",
      "config/initializers/settings.rb" => <<~RUBY,
        Rails.application.configure do
          config.active_storage.service = :local
          config.encrypted_s3_service.current_tenant = "Current.firm"
          config.active_job.queue_adapter = :inline
          config.action_mailer.delivery_method = :test
          config.action_mailbox.incinerate = false
          # No firm is known when the e-mail itself is stored.
          config.action_mailbox.storage_service = :encrypted
        end
      RUBY
      "app/models/current.rb" => <<~RUBY,
        class Current < ActiveSupport::CurrentAttributes
          attribute :firm
        end
      RUBY
      "app/models/firm.rb" => <<~RUBY,
        class Firm
          include GlobalID::Identification
          include EncryptedS3Service::Tenant
          encrypts_files_with :encrypted
          attr_reader :id

          def self.find(id) = new(id)
          def initialize(id) = @id = id
        end
      RUBY
      "app/channels/application_cable/connection.rb" => <<~RUBY,
        module ApplicationCable
          class Connection < ActionCable::Connection::Base
            identified_by :firm_id
            around_command { |_, block| Current.set(firm: Firm.find(firm_id), &block) }
          end
        end
      RUBY
      "app/channels/upload_channel.rb" => <<~RUBY,
        class UploadChannel < ActionCable::Channel::Base
          def receive(_) = transmit({ place: ActiveStorage::Blob.new.service_name })
        end
      RUBY
      "app/mailboxes/application_mailbox.rb" => <<~RUBY,
        class ApplicationMailbox < ActionMailbox::Base
          routing :all => :documents
        end
      RUBY
      "app/mailboxes/documents_mailbox.rb" => <<~RUBY,
        class DocumentsMailbox < ApplicationMailbox
          before_processing { Current.firm = Firm.find(mail.to.first[/\\d+/]) }
          def process = puts("mailbox \#{ActiveStorage::Blob.new.service_name}")
        end
      RUBY
      "app/mailers/reports_mailer.rb" => <<~RUBY
        class ReportsMailer < ActionMailer::Base
          def report
            puts "mailer \#{ActiveStorage::Blob.new.service_name}"
            mail(to: "a@example.com", from: "b@example.com", subject: "s", body: "b")
          end
        end
      RUBY
    }
  end

  let(:script) do
    <<~'RUBY'
      ActiveRecord::Schema.verbose = false
      load File.expand_path("db/schema.rb", Rails.root)

      # The command of a subscribed client, as the server runs it, in a thread of its own.
      # Rails 8.2 puts a socket between the request and the connection.
      socket = "ActionCable::Server::Socket".safe_constantize
      request = [ActionCable.server, Rack::MockRequest.env_for("/cable")]
      connection = socket ? socket.new(*request).connection : ApplicationCable::Connection.new(*request)
      connection.firm_id = 7
      said = []
      connection.define_singleton_method(:transmit) { |message| said << message }
      identifier = { channel: "UploadChannel" }.to_json
      Thread.new do
        connection.handle_channel_command("command" => "subscribe", "identifier" => identifier)
        connection.handle_channel_command("command" => "message", "identifier" => identifier, "data" => "{}")
      end.join
      puts "cable #{said.filter_map { |message| message.dig(:message, :place) }.join}"

      mail = "To: firm-7@example.com\r\nFrom: x@example.com\r\nSubject: s\r\n\r\ntext"
      email = ActionMailbox::InboundEmail.create_and_extract_message_id!(mail)
      puts "e-mail #{email.raw_email.blob.service_name}"

      # Enqueued for a firm, performed by a worker that knows nothing of it.
      worker = Queue.new
      adapter = Object.new
      adapter.define_singleton_method(:enqueue) { |job| worker << job.serialize }
      adapter.define_singleton_method(:enqueue_at) { |*| raise }
      adapter.define_singleton_method(:enqueue_after_transaction_commit?) { false }
      ActionMailer::MailDeliveryJob.queue_adapter = adapter
      Current.set(firm: Firm.find(7)) { ReportsMailer.report.deliver_later }
      Thread.new { ActiveJob::Base.execute(worker.pop) }.join
      Current.reset
      puts "console #{ActiveStorage::Blob.new.service_name}"
      Current.firm = Firm.find(7)
      puts "console #{ActiveStorage::Blob.new.service_name}"
    RUBY
  end

  let(:schema) do
    %w[active_storage_blobs active_storage_attachments].map do |table|
      File.read(File.expand_path("../dummy/db/schema.rb", __dir__))[/^  create_table :#{table}.*?^  end/m]
    end.join("\n")
  end

  it "applies to channels, mailboxes, mailers in jobs, and consoles" do
    SmallApp.create do |app|
      files.each { |name, text| app.write(name, text) }
      frameworks = %w[action_cable/engine action_mailer/railtie action_mailbox/engine]
      required = frameworks.map { |name| "require #{name.inspect}\n" }.join
      application = app.read("config/application.rb").sub('require "encrypted_s3_service"', "#{required}\\0")
      app.write("config/application.rb", application)
      app.write("db/schema.rb", <<~RUBY)
        ActiveRecord::Schema[7.1].define(version: 1) do
          #{schema}
          create_table :action_mailbox_inbound_emails do |t|
            t.integer :status, default: 0, null: false
            t.string :message_id, null: false
            t.string :message_checksum, null: false
            t.timestamps
          end
        end
      RUBY
      app.write("script.rb", script)
      printed, said, = app.rails("runner", "script.rb")
      expect(printed.lines(chomp: true)).to eq(
        ["cable encrypted", "mailbox encrypted", "e-mail encrypted", "mailer encrypted", "console local",
         "console encrypted"]
      ), printed + said
    end
  end
end
