# frozen_string_literal: true

require_relative "rails_helper"
require_relative "support/browser"
require_relative "support/request_log"
require_relative "support/samples"

Capybara.app = RequestLog.new(Rails.application)

# Helpers for the specs with the dummy application in a browser.
module SystemHelpers
  # @return [Array<RequestLog::Entry>]
  def requests = Capybara.app.entries

  # @return [ActiveStorage::Blob] stored encrypted, with the type that follows from its name and its bytes
  def blob_of(data, filename) = ActiveStorage::Blob.create_and_upload!(io: StringIO.new(data), filename: filename)

  # @return [String] the path of a file's link, which redirects to the address of the service
  def link_to_blob(blob) = Rails.application.routes.url_helpers.rails_storage_redirect_path(blob, only_path: true)
end

RSpec.configure do |config|
  config.include SystemHelpers, browser: true
  config.before(:each, browser: true) { Capybara.app.clear }
end
