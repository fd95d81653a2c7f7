# frozen_string_literal: true

require_relative "../../configuration/confidential"
require_relative "../../errors"
require_relative "../source"
require_relative "connection"

module EncryptedS3Service
  class OpenBao
    # The token of the requests: given, from a file, or from a login. A login is repeated shortly before its token
    # expires, and once when the server refuses a token.
    # @api private
    class Login
      include Confidential

      # Where Kubernetes puts the token of a pod's service account.
      SERVICE_ACCOUNT = "/var/run/secrets/kubernetes.io/serviceaccount/token"
      # Before the end of a token's lifetime it is no longer used: for these seconds, or for this share of the lifetime
      # if that is less.
      MARGIN = 5
      MARGIN_SHARE = 0.2

      # @param connection [Connection]
      # @param token [String, #call, nil]
      # @param token_file [String, nil] path
      # @param app_role [Hash, nil]
      # @param kubernetes [Hash, nil]
      # @raise [ConfigurationError] unless exactly one of them is given
      def initialize(connection, token:, token_file:, app_role:, kubernetes:)
        given = { token: token, token_file: token_file, app_role: app_role, kubernetes: kubernetes }.compact
        unless given.one?
          raise ConfigurationError, "OpenBao needs one of token, token_file, app_role and kubernetes, not " \
                                    "#{given.empty? ? "none" : given.keys.join(" and ")}"
        end

        @connection = connection
        @kind, @value = given.first
        @lock = Mutex.new
        check_options
      end

      # @param refused [String, nil] a token that the server has refused
      # @return [String, nil] a token; nil when there is only the refused one
      # @raise [CustodianError] when the login fails
      def token(refused: nil)
        @lock.synchronize do
          @current = nil if refused && @current == refused
          @current = nil if @ends_at && clock >= @ends_at
          @current ||= fresh
          @current unless @current == refused
        end
      end

      private

      def public_attributes = { kind: @kind }

      def clock = Process.clock_gettime(Process::CLOCK_MONOTONIC)

      def check_options
        case @kind
        when :app_role then check(%i[role_id secret_id mount], %i[role_id])
        when :kubernetes then check(%i[role token_file mount], %i[role])
        end
      end

      def check(known, required)
        unless @value.is_a?(Hash) && (@value.keys - known).empty? && required.all? { |name| @value[name].to_s != "" }
          raise ConfigurationError,
                "OpenBao: #{@kind} must be a Hash of #{known.join(", ")}; #{required.join} is required"
        end
        return if @value[:mount].nil? || @value[:mount].to_s.match?(Connection::MOUNT)

        raise ConfigurationError, "OpenBao: the mount of #{@kind} is not a path"
      end

      def fresh
        case @kind
        when :token then stripped(@value.respond_to?(:call) ? @value.call : @value)
        when :token_file then read(@value)
        when :app_role
          log_in("approle", { role_id: stripped(@value[:role_id]), secret_id: secret(@value[:secret_id]) }.compact)
        else
          log_in("kubernetes", role: @value[:role], jwt: read(@value[:token_file] || SERVICE_ACCOUNT))
        end
      end

      def log_in(mount, body)
        mount = @value[:mount] || mount
        answer = @connection.post("auth/#{mount}/login", body)
        auth = answer.data["auth"]
        refuse(mount, answer) unless answer.success? && auth.is_a?(Hash) && auth["client_token"].is_a?(String)

        seconds = auth["lease_duration"].to_i
        @ends_at = seconds.positive? ? clock + seconds - [MARGIN, seconds * MARGIN_SHARE].min : nil
        auth["client_token"]
      end

      def refuse(mount, answer)
        raise CustodianDeniedError, "#{@connection.place} refused the login at auth/#{mount} (#{answer.status} " \
                                    "#{answer.errors.join("; ")}). Check the role and its credentials."
      end

      def secret(value) = (path = KeySource.path_of(value)) ? read(path) : stripped(value)

      # Variables and files often end with a line break, which a header must not contain.
      def stripped(value) = value&.to_s&.strip

      def read(path)
        text = File.read(path).strip
        text.empty? ? raise(CustodianError, "The file #{path} with the login for OpenBao is empty.") : text
      rescue SystemCallError => e
        raise CustodianError, "The file #{path} with the login for OpenBao cannot be read: " \
                              "#{e.class.name.delete_prefix("Errno::")}"
      end
    end
  end
end
