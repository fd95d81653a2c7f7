# frozen_string_literal: true

require "net/http"
require "openssl"
require "time"
require "uri"

module S3Server
  # One S3 request, signed with AWS Signature Version 4.
  class SignedRequest
    # @param endpoint [String] such as "http://127.0.0.1:8333"
    def initialize(endpoint:, access_key_id:, secret_access_key:, region:)
      @endpoint = URI(endpoint)
      @access_key_id = access_key_id
      @secret_access_key = secret_access_key
      @region = region
    end

    # @param method [String] "GET", "PUT", ...
    # @param path [String] "/bucket/key", not encoded
    # @param query [Hash{String => String}]
    # @param patience [Numeric] seconds to wait for the next bytes of the answer
    # @return [Array(Integer, Hash, String)] status, headers with lower-case names, body
    def call(method, path, query: {}, headers: {}, body: nil, patience: 60)
      path = encode(@endpoint.path.chomp("/") + path, keep: "/")
      query = query.map { |name, value| "#{encode(name)}=#{encode(value)}" }.sort.join("&")
      headers = sign(method, path, query, defaults(body).merge(headers.transform_keys do |name|
                                                                 name.to_s.downcase
                                                               end), body)
      send_request(method, query.empty? ? path : "#{path}?#{query}", headers, body, patience)
    end

    private

    def defaults(body)
      # Otherwise Net::HTTP declares a form, and requests compressed answers and decompresses them.
      { "host" => host,
        "accept-encoding" => "identity" }.merge(body ? { "content-type" => "application/octet-stream" } : {})
    end

    def host
      @endpoint.port == @endpoint.default_port ? @endpoint.host : "#{@endpoint.host}:#{@endpoint.port}"
    end

    def send_request(method, target, headers, body, patience)
      request = Net::HTTPGenericRequest.new(method, !body.nil?, method != "HEAD", target, headers)
      request.body = body
      # No proxy: the server is on this machine or nearby.
      http = Net::HTTP.new(@endpoint.hostname, @endpoint.port, nil)
      http.use_ssl = @endpoint.scheme == "https"
      http.open_timeout = 30
      http.read_timeout = patience
      response = http.start { http.request(request) }
      [response.code.to_i, response.to_hash.transform_values { |values| values.join(", ") }, response.body || +""]
    end

    def sign(method, path, query, headers, body)
      time = Time.now.utc.strftime("%Y%m%dT%H%M%SZ")
      digest = OpenSSL::Digest::SHA256.hexdigest(body || "")
      headers = headers.merge("x-amz-date" => time, "x-amz-content-sha256" => digest)
      names = headers.keys.sort
      canonical = [method, path, query, *names.map { |name| "#{name}:#{headers[name].to_s.b.strip.squeeze(" ")}" },
                   "", names.join(";"), digest].map(&:b).join("\n")
      scope = "#{time[0, 8]}/#{@region}/s3/aws4_request"
      text = ["AWS4-HMAC-SHA256", time, scope, OpenSSL::Digest::SHA256.hexdigest(canonical)].join("\n")
      headers.merge("authorization" => "AWS4-HMAC-SHA256 Credential=#{@access_key_id}/#{scope}, " \
                                       "SignedHeaders=#{names.join(";")}, Signature=#{signature(scope, text)}")
    end

    def signature(scope, text)
      key = scope.split("/").inject("AWS4#{@secret_access_key}") do |secret, part|
        OpenSSL::HMAC.digest("SHA256", secret, part)
      end
      OpenSSL::HMAC.hexdigest("SHA256", key, text)
    end

    def encode(text, keep: "")
      text.to_s.b.gsub(/[^A-Za-z0-9\-._~#{Regexp.escape(keep)}]/n) { |byte| format("%%%02X", byte.ord) }
    end
  end
end
