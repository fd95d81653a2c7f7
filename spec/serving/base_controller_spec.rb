# frozen_string_literal: true

require_relative "../rails_helper"
require_relative "../support/ruby_process"

# A link can be passed on. If that is not enough protection, the application's own controller checks each request.
RSpec.describe "An application that names a controller of its own" do
  let(:script) { <<~'RUBY' }
    environment, get, put, data = input
    ENV["DUMMY_BASE_CONTROLLER"] = "GuardedController"
    require environment
    requests = Rack::MockRequest.new(Rails.application)
    statuses = [{}, { "HTTP_X_LOGIN" => "yes" }].flat_map do |login|
      [requests.put(put, input: data, "CONTENT_TYPE" => "text/plain", **login).status, requests.get(get, login).status,
       requests.head(get, login).status]
    end
    puts statuses.join(" ")
  RUBY

  # The requests, with their answers without a login and with one.
  def statuses(script)
    service = ActiveStorage::Blob.services.fetch(:encrypted)
    key = unique_key
    data = "a text"
    get, put = ActiveStorage::Current.set(url_options: { host: "www.example.com" }) do
      [service.url(key, expires_in: 60, filename: ActiveStorage::Filename.new("a.txt"), disposition: :inline,
                        content_type: "text/plain"),
       service.url_for_direct_upload(key, expires_in: 60, content_type: "text/plain", content_length: data.bytesize,
                                          checksum: md5(data))]
    end
    environment = Rails.root.join("config/environment").to_s
    printed, = RubyProcess.run(script, environment, get, put, data)
    printed.lines.last&.split || raise(printed)
  end

  it "prevents requests for files and uploads that its callbacks refuse" do
    expect(statuses(script)).to eq(%w[401 401 401 204 200 200])
  end

  it "prevents those requests at Active Storage's own controllers too" do
    own = <<~'RUBY'
      ActiveStorage::BaseController.before_action { head :unauthorized unless request.headers["X-Login"] == "yes" }
    RUBY
    guarded = script.sub(/^ENV.*$/, "").sub("require environment\n", "require environment\n#{own}")
    expect(statuses(guarded)).to eq(%w[401 401 401 204 200 200])
  end
end
