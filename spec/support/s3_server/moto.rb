# frozen_string_literal: true

require_relative "embedded"

module S3Server
  # Moto: imitations of Amazon's services at one address. Here for AWS KMS; its S3 keeps storage classes and locks, and
  # takes any credentials.
  class Moto < Embedded
    private

    def launch
      @access_key_id = "moto"
      port = free_ports(1).first
      @endpoint = "http://127.0.0.1:#{port}"
      # It would ask them for credentials.
      unset = { "AWS_PROFILE" => nil, "AWS_ENDPOINT_URL" => nil }
      run(program("moto", "moto_server"), "-H", "127.0.0.1", "-p", port.to_s, env: unset)
    end
  end
end
