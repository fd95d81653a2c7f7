# frozen_string_literal: true

require "json"
require "net/http"
require "open3"
require_relative "../support/aws_clients"
require_relative "../support/encryption_client"
require_relative "../support/kms"

# Amazon tests its S3 encryption clients in all languages with one suite. It has a server for each client, all with the
# same Smithy model, and test cases in Java that call the servers. The specs in this folder are these cases in Ruby.
# They use a server of this model for our client (spec/conformance/server), and those clients of Amazon that run here.
# docs/conformance.md lists the cases and their specs.
module Conformance
  CONFIG = File.expand_path("server/config.ru", __dir__)

  # The model's S3EncryptionClientError: the client refused the request.
  class S3EncryptionClientError < StandardError; end
  # The model's GenericServerError: any other failure. It does not count as a refusal.
  class GenericServerError < StandardError; end

  module_function

  # @return [Integer] the port of the server, which is started on first use and ends with this process
  def port
    @port ||= start
  end

  def start
    connection = TestStore.settings
    environment = %i[endpoint access_key_id secret_access_key region].to_h do |name|
      ["S3_#{name}".upcase, connection.fetch(name)]
    end
    environment["KMS_ENDPOINT"] = Kms.server.endpoint
    input, output, thread = Open3.popen2e(environment, "puma", "-t", "4:4", "-b", "tcp://127.0.0.1:0", CONFIG)
    input.close
    at_exit { stop(thread) }
    listening_port(output).tap { Thread.new { output.read } }
  end

  def stop(thread)
    Process.kill(:TERM, thread.pid)
    Process.kill(:KILL, thread.pid) unless thread.join(10)
  rescue Errno::ESRCH
    nil
  end

  def listening_port(output)
    log = +""
    while (line = output.gets)
      log << line
      port = line[%r{Listening on http://127\.0\.0\.1:(\d+)}, 1]
      return Integer(port) if port
    end
    raise "the conformance server does not start:\n#{log}"
  end

  # A client for the model's server, like the one that the suite generates.
  class Connection
    def initialize(**config)
      @id = call(:post, "/client", JSON.generate(config: config), {}).then { |body| JSON.parse(body).fetch("clientId") }
    end

    def put(key, body, **headers) = call(:put, path(key), body, headers)

    def get(key, **headers) = call(:get, path(key), nil, headers)

    # @return [Hash] the model's ReEncryptOutput
    def reencrypt(key, material, **headers)
      JSON.parse(call(:post, "#{path(key)}/reencrypt", JSON.generate(material), headers))
    end

    private

    def path(key) = "/object/#{TestStore::BUCKET}/#{URI.encode_www_form_component(key).gsub("+", "%20")}"

    def call(method, path, body, headers)
      headers = { "ClientID" => @id.to_s, **headers.transform_keys(&:to_s) }
      request = Net::HTTP.const_get(method.capitalize).new(path, headers)
      request.body = body
      answer = Net::HTTP.start("127.0.0.1", Conformance.port, nil, read_timeout: 60) { |http| http.request(request) }
      return answer.body if answer.is_a?(Net::HTTPOK)

      error = JSON.parse(answer.body)
      raise Conformance.const_get(error.fetch("__type")[/\w+\z/]), error["message"]
    end
  end
end
