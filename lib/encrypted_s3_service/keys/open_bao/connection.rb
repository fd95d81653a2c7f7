# frozen_string_literal: true

require "json"
require "net/http"
require "openssl"
require "timeout"
require "uri"
require_relative "../../configuration/confidential"
require_relative "../../errors"
require_relative "../secret_bytes"

module EncryptedS3Service
  class OpenBao
    # Requests to one server. Each uses a new connection: requests are minutes apart, and an open connection would be
    # shared by forked processes. Redirects are not followed, because the token would be sent to their target.
    # @api private
    class Connection
      include Confidential

      # An answer of the server.
      # @!attribute status [Integer]
      # @!attribute data [Hash]
      Answer = Struct.new(:status, :data) do
        include Confidential

        # @return [Boolean]
        def success? = (200..299).cover?(status)

        # @return [Array<String>] the server's messages, each in one line; they contain no secret
        def errors
          texts = Array(data["errors"]).grep(String)
          texts.map { |text| text.sub(/\A1 error occurred:\s*\* /, "").split.join(" ")[0, 300] }
        end

        private

        def public_attributes = { status: status }
      end

      # Maximum number of attempts of a request, if its failure is temporary.
      ATTEMPTS = 2
      # Seconds between two attempts.
      PAUSE = 0.2
      # Maximum bytes of an answer.
      LARGEST_ANSWER = 256 * 1024
      # Host names and addresses of this machine.
      LOCAL = /\A(localhost|127(\.\d+){3}|\[?::1\]?)\z/
      # Path of an engine or of a login method on the server.
      MOUNT = %r{\A\w[\w.-]*(?:/\w[\w.-]*)*\z}
      # Statuses of temporary failures. 503 with "sealed" is not temporary. A node of Vault that has not received a new
      # token yet answers 412, and proxies have statuses of their own.
      PASSING = [412, 429, *500..599].freeze

      NETWORK = [SystemCallError, SocketError, IOError, Timeout::Error, OpenSSL::SSL::SSLError, Net::ProtocolError,
                 Net::HTTPBadResponse, Zlib::Error].freeze
      private_constant :NETWORK

      # @param address [String] URL
      # @param namespace [String, nil]
      # @param tls [Hash{Symbol => String, nil}] paths: `ca_file:`, `client_certificate:`, `client_key:`
      # @param limits [Hash{Symbol => Numeric}] seconds: `open_timeout:`, `read_timeout:`, `time_limit:`
      # @param allow_http [Boolean]
      # @raise [ConfigurationError]
      def initialize(address, namespace:, tls:, limits:, allow_http:)
        @uri = parse(address)
        @namespace = namespace
        @tls = tls
        @limits = limits
        refuse_http unless allow_http || @uri.scheme == "https" || @uri.host.match?(LOCAL)
        wrong, = limits.find { |_, seconds| !seconds.positive? }
        raise ConfigurationError, "OpenBao: #{wrong} must be above 0" if wrong
      end

      # @return [String] the server's address for messages
      def place = "#{@uri.scheme}://#{@uri.host}:#{@uri.port}"

      # Runs the requests of the block within the time limit.
      # @raise [CustodianError] when it takes longer
      def within_limit(&)
        # A timeout for each read does not stop a server that sends one byte at a time.
        Timeout.timeout(@limits[:time_limit], &)
      rescue Timeout::Error
        raise CustodianError, "#{place} did not answer within #{@limits[:time_limit]} seconds. #{ADVICE}"
      end

      # @param path [String] below `/v1/`
      # @param body [Hash]
      # @param token [String, nil]
      # @return [Answer] of any status except temporary failures
      # @raise [CustodianError] when the server cannot be reached, is sealed or fails
      def post(path, body, token: nil)
        ask(path, token) { |uri| Net::HTTP::Post.new(uri).tap { |message| message.body = JSON.generate(body) } }
      end

      # @param path [String]
      # @param token [String, nil]
      # @return [Answer]
      # @raise (see #post)
      def get(path, token:) = ask(path, token) { |uri| Net::HTTP::Get.new(uri) }

      # The end of every message about a server that is not available.
      ADVICE = "Keys that it returned before are used until their time to live ends; then their files cannot be used " \
               "until it works again. Check the server and the network."

      private

      def public_attributes = { place: place }

      def parse(address)
        uri = URI(address.to_s.chomp("/"))
        return uri if uri.is_a?(URI::HTTP) && !uri.host.to_s.empty? && uri.userinfo.nil? && uri.query.nil?

        raise ConfigurationError, "OpenBao: the address must be a URL such as https://bao.example.com:8200"
      rescue URI::Error
        raise ConfigurationError, "OpenBao: the address must be a URL such as https://bao.example.com:8200"
      end

      def refuse_http
        raise ConfigurationError, "OpenBao: the address #{place} must begin with https:, because keys would cross " \
                                  "the network unencrypted. If the network is encrypted, set allow_http: true"
      end

      # A temporary failure is retried once.
      def ask(path, token, &)
        (ATTEMPTS - 1).times do
          answer = attempt(path, token, &)
          return checked(answer) unless answer.is_a?(CustodianError) || passing?(answer)

          sleep PAUSE
        end
        answer = attempt(path, token, &)
        answer.is_a?(CustodianError) ? raise(answer) : checked(answer)
      end

      # @return [Answer, CustodianError]
      def attempt(path, token, &)
        request(path, token, &)
      rescue CustodianError => e
        e
      end

      def passing?(answer) = PASSING.include?(answer.status) && !sealed?(answer)

      def checked(answer)
        return answer unless passing?(answer) || sealed?(answer) || (300..399).cover?(answer.status)

        raise CustodianError, trouble(answer)
      end

      def request(path, token)
        uri = @uri.dup.tap { |target| target.path = "#{@uri.path}/v1/#{path}" }
        message = yield(uri)
        message["X-Vault-Token"] = token if token
        message["X-Vault-Namespace"] = @namespace if @namespace
        message["X-Vault-Request"] = "true"
        message["Content-Type"] = "application/json" if message.request_body_permitted?
        Net::HTTP.start(uri.host, uri.port, **options) { |http| read(http, message) }
      rescue *NETWORK => e
        raise CustodianError.new("#{place} cannot be reached: #{problem(e)}. #{ADVICE}"), cause: nil
      end

      def options
        common = { open_timeout: @limits[:open_timeout], ssl_timeout: @limits[:open_timeout],
                   read_timeout: @limits[:read_timeout], write_timeout: @limits[:read_timeout], max_retries: 0 }
        return common unless @uri.scheme == "https"

        { **common, use_ssl: true, verify_mode: OpenSSL::SSL::VERIFY_PEER, min_version: OpenSSL::SSL::TLS1_2_VERSION,
                    cert_store: authorities, **client_certificate }.compact
      end

      # Ruby calls a missing file a failed handshake.
      def authorities
        return unless @tls[:ca_file]

        OpenSSL::X509::Store.new.tap { |store| store.add_file(@tls[:ca_file]) }
      rescue OpenSSL::X509::StoreError
        raise ConfigurationError, "OpenBao: ca_file holds no certificates, or cannot be read: #{@tls[:ca_file]}"
      end

      def client_certificate
        return {} unless @tls[:client_certificate]

        { cert: OpenSSL::X509::Certificate.new(File.binread(@tls[:client_certificate])),
          key: OpenSSL::PKey.read(File.binread(@tls[:client_key] || @tls[:client_certificate]), "") }
      rescue SystemCallError, OpenSSL::OpenSSLError => e
        raise ConfigurationError, "OpenBao: the client certificate or its key cannot be read: #{e.class.name}"
      end

      def read(http, message)
        text = String.new(encoding: Encoding::BINARY)
        response = http.request(message) do |answer|
          answer.read_body do |chunk|
            text << chunk
            raise Net::HTTPBadResponse, "the answer is too long" if text.bytesize > LARGEST_ANSWER
          end
        end
        Answer.new(response.code.to_i, parsed(text))
      ensure
        SecretBytes.wipe(text)
      end

      def parsed(text)
        data = text.empty? ? {} : JSON.parse(text)
        data.is_a?(Hash) ? data : {}
      rescue JSON::ParserError
        {}
      end

      def sealed?(answer) = answer.status == 503 && answer.errors.any? { |text| text.match?(/sealed/i) }

      def trouble(answer)
        text = case answer.status
               when 300..399 then "redirects to another server, which is not followed. Give the active server's address"
               else sealed?(answer) ? "is sealed. Unseal it" : "answered #{[answer.status, *answer.errors].join(" ")}"
               end
        "#{place} #{text}. #{ADVICE}"
      end

      # Describes an error without the address that some libraries add.
      def problem(error)
        case error
        when Errno::ECONNREFUSED then "connection refused"
        when Timeout::Error then "no answer in time"
        when SocketError then "its name cannot be resolved"
        when OpenSSL::SSL::SSLError
          "TLS failed (#{error.message[/certificate verify failed[^:]*|alert [\w ]+/] || "handshake"})"
        else error.class.name
        end
      end
    end
  end
end
