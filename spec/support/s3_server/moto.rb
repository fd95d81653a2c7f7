# frozen_string_literal: true

require_relative "embedded"

module S3Server
  # Moto: simulates Amazon's services. Used for AWS KMS, and for storage classes and object locks in S3. It accepts any
  # credentials.
  class Moto < Embedded
    private

    def launch
      @access_key_id = "moto"
      port = free_ports(1).first
      @endpoint = "http://127.0.0.1:#{port}"
      # Moto would request credentials from them.
      unset = { "AWS_PROFILE" => nil, "AWS_ENDPOINT_URL" => nil }
      run(program("moto", "moto_server"), "-H", "127.0.0.1", "-p", port.to_s, env: unset)
    end
  end
end
