# frozen_string_literal: true

require_relative "base"

module S3Server
  # A running server, given by the environment.
  class External < Base
    def initialize
      super
      @endpoint = ENV.fetch("S3_ENDPOINT").chomp("/")
      @access_key_id = ENV.fetch("S3_ACCESS_KEY_ID")
      @secret_access_key = ENV.fetch("S3_SECRET_ACCESS_KEY")
      @region = ENV.fetch("S3_REGION", "us-east-1")
    rescue KeyError => e
      raise Error, "S3_ENDPOINT is set but #{e.key} is not"
    end

    # Does nothing: the server was not started here.
    def stop; end
  end
end
