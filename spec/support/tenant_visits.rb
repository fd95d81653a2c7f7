# frozen_string_literal: true

# The parts of an application that the generator does not write with `--tenants`: contracts with a file each, a login,
# and requests of two tenants, one of which wants encryption.
module TenantVisits
  FILES = {
    "config/routes.rb" => <<~RUBY,
      Rails.application.routes.draw do
        post "session/:name/:id" => "sessions#create"
        post "contracts" => "contracts#create"
      end
    RUBY
    "app/models/contract.rb" => <<~RUBY,
      class Contract < ApplicationRecord
        has_one_attached :pdf
      end
    RUBY
    "app/controllers/sessions_controller.rb" => <<~RUBY,
      class SessionsController < ApplicationController
        def create = (session[params[:name]] = params[:id]) && head(:ok)
      end
    RUBY
    "app/controllers/contracts_controller.rb" => <<~RUBY,
      class ContractsController < ApplicationController
        def create
          StoreJob.perform_later
          Contract.create!(pdf: { io: StringIO.new("a contract by a form"), filename: "form.txt" })
          head :ok
        end
      end
    RUBY
    "app/jobs/store_job.rb" => <<~RUBY,
      class StoreJob < ApplicationJob
        def perform = Contract.create!(pdf: { io: StringIO.new("a contract by a job"), filename: "job.txt" })
      end
    RUBY
    # Run it with `ruby`. `bin/rails runner` counts as one request, for which the tenant would stay set. The jobs run in
    # a worker, after the request.
    "visits.rb" => <<~'RUBY'
      require_relative "config/environment"
      require "action_dispatch/testing/integration"
      ActionController::Base.allow_forgery_protection = false
      ActiveJob::Base.queue_adapter = queue = ActiveJob::QueueAdapters::TestAdapter.new
      tenants = ARGV.first.constantize
      blob = { filename: "a.txt", byte_size: 10, checksum: "RLu7hLiKaWZ4XkOPhvxwlw==", content_type: "text/plain" }
      went = { encrypting: true, plain: false }.to_h do |customer, encrypted|
        tenant = tenants.create!(encrypted: encrypted)
        visitor = ActionDispatch::Integration::Session.new(Rails.application)
        visitor.host!("localhost")
        visitor.post("/session/#{tenants.name.underscore}_id/#{tenant.id}")
        visitor.post("/contracts")
        ActiveJob::Base.execute(queue.enqueued_jobs.find { |job| job["job_class"] == "StoreJob" })
        queue.enqueued_jobs.clear
        tenant.with_s3_settings { Contract.create!(pdf: { io: StringIO.new("a contract by a block"), filename: "b.txt" }) }
        files = Contract.last(3).map { |contract| contract.pdf.blob }
        visitor.post("/rails/active_storage/direct_uploads", params: { blob: blob }, as: :json)
        direct = ActiveStorage::Blob.find_signed!(visitor.response.parsed_body["signed_id"])
        services = %i[form job block].zip(files.map(&:service_name)).to_h
        [customer, { services: { **services, direct_upload: direct.service_name },
                     texts: files.map(&:download), keys: files.map(&:key) }]
      end
      puts went.to_json
    RUBY
  }.freeze

  # @return [Hash] the services in the output of visits.rb: those of each tenant's files, by the kind of upload
  def self.services(encrypting:, plain:)
    { encrypting: encrypting, plain: plain }.transform_values do |name|
      { form: name, job: name, block: name, direct_upload: name }
    end
  end

  TEXTS = ["a contract by a form", "a contract by a job", "a contract by a block"].freeze
end
