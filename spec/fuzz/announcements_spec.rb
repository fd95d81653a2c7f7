# frozen_string_literal: true

require_relative "../rails_helper"
require_relative "../support/mutations"

RSpec.describe "Any description of a file before its direct upload", type: :request do
  include Mutations

  good = { filename: "a.txt", byte_size: 6, checksum: "Hk0fSRvJ1tFDDkNZ9gBYhA==", content_type: "text/plain",
           metadata: { custom: { a: "b" }, width: 3 } }
  bodies = [{ blob: good }, { blob: good.except(:metadata) }, { blob: { **good, byte_size: "6" } },
            { blob: { **good, metadata: { composed: true, encrypted_s3_service: "x" } } }, { blob: [] }, { blob: nil },
            { service_token: "x", blob: good }].map(&:to_json)

  # As in production: the test environment shows its own page, which fails over such a request.
  around do |example|
    shown = Rails.application.env_config.slice("action_dispatch.show_exceptions",
                                               "action_dispatch.show_detailed_exceptions")
    Rails.application.env_config.merge!("action_dispatch.show_exceptions" => :all,
                                        "action_dispatch.show_detailed_exceptions" => false)
    example.run
  ensure
    Rails.application.env_config.merge!(shown)
  end

  it "gets an address for the upload or is refused, without an error of the application" do
    statuses = Hash.new(0)
    mutations(bodies, runs: 400) do |bytes|
      # If a name is invalid UTF-8, Rails fails when it filters its log, before any controller runs.
      body = bytes.scrub("?")
      post "/rails/active_storage/direct_uploads", params: body, headers: { "Content-Type" => "application/json" }
      statuses[response.status] += 1
      expect(response.status).to be_in([200, 400, 403, 413, 422])
      next unless response.status == 200

      blob = ActiveStorage::Blob.find_signed!(response.parsed_body.fetch("signed_id"))
      expect(blob.metadata.keys).not_to include("composed", "encrypted_s3_service")
      expect(blob.byte_size).to be >= 0
    end
    expect(statuses.keys).to include(200, 400)
  end
end
