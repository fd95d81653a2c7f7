# frozen_string_literal: true

require_relative "../../configuration/confidential"
require_relative "../../errors"
require_relative "../secret_bytes"
require_relative "connection"

module EncryptedS3Service
  class OpenBao
    # The transit engine: it encrypts and decrypts under keys that do not leave the server.
    # @api private
    class Transit
      include Confidential

      KEY = /\A\w(?:[\w.-]*\w)?\z/
      private_constant :KEY

      # @param connection [Connection]
      # @param login [Login]
      # @param mount [String] path of the engine
      # @raise [ConfigurationError]
      def initialize(connection, login, mount)
        @connection = connection
        @login = login
        @mount = mount
        return if mount.to_s.match?(Connection::MOUNT)

        raise ConfigurationError, "OpenBao: the mount of transit is not a path"
      end

      # @param key [String] name of a transit key
      # @param ciphertext [String]
      # @return [String] the plaintext, binary
      # @raise (see OpenBao#unwrap)
      def decrypt(key, ciphertext)
        @connection.within_limit do
          answer = ask("decrypt/#{key}", ciphertext: ciphertext)
          refuse(answer, key, ciphertext) unless answer.success?
          decoded(answer)
        end
      end

      # @param key [String] name of a transit key that exists
      # @param bytes [String]
      # @return [String] the ciphertext
      # @raise (see OpenBao#wrap)
      def encrypt(key, bytes)
        raise ConfigurationError, "#{key.inspect} cannot be the name of a transit key" unless key.match?(KEY)

        @connection.within_limit do
          # A request to encrypt creates a missing key.
          refuse_missing(key) if details(key).status == 404
          answer = ask("encrypt/#{key}", plaintext: [bytes].pack("m0"))
          refuse(answer, key, nil) unless answer.success?
          answer.data.dig("data", "ciphertext")
        end
      end

      private

      def public_attributes = { mount: @mount }

      # A token may have expired or have been revoked since the login.
      def ask(path, body)
        token = @login.token
        answer = @connection.post("#{@mount}/#{path}", body, token: token)
        return answer unless answer.status == 403 && (token = @login.token(refused: token))

        @connection.post("#{@mount}/#{path}", body, token: token)
      end

      def details(key) = @connection.get("#{@mount}/keys/#{key}", token: @login.token)

      def decoded(answer)
        text = answer.data.dig("data", "plaintext").to_s
        text.unpack1("m0")
      rescue ArgumentError
        raise CustodianError, "#{@connection.place} returned no key."
      ensure
        SecretBytes.wipe(text) if text
      end

      def refuse(answer, key, ciphertext)
        errors = answer.errors.join("; ")
        said = "(#{answer.status} #{errors})"
        case errors
        when /encryption key not found/ then refuse_destroyed(key, said)
        when /too old/ then refuse_version(key, ciphertext, said)
        when /authentication failed|invalid ciphertext/
          raise UnwrapError, "the transit key cannot decrypt the reference #{said}: the key was deleted and created " \
                             "again, or the reference was changed"
        end
        refuse_by_status(answer.status, said)
      end

      def refuse_by_status(status, said)
        if status == 404
          raise ConfigurationError, "#{@connection.place} has no transit engine at `#{@mount}`, or the namespace " \
                                    "does not exist #{said}. Check `mount` and `namespace`"
        end
        raise CustodianDeniedError, "#{@connection.place} refused it #{said}. Check the token's policy and the " \
                                    "transit key: the key may have been revoked"
      end

      def refuse_missing(key)
        raise ConfigurationError, "#{@connection.place} has no transit key `#{key}`. Create it first: " \
                                  "bao write -f #{@mount}/keys/#{key}"
      end

      def refuse_destroyed(key, said)
        raise KeyDestroyedError, "#{@connection.place} has no transit key `#{key}` at `#{@mount}` #{said}. If it was " \
                                 "deleted, the files under it are permanently unreadable"
      end

      # A version that may not decrypt can be allowed again; a version that was removed cannot come back.
      def refuse_version(key, ciphertext, said)
        first = details(key).data.dig("data", "min_available_version").to_i
        if ciphertext.to_s[/:v(\d+):/, 1].to_i < first
          raise KeyDestroyedError, "the version of the transit key `#{key}` that made the reference was removed " \
                                   "#{said}. The files under it are permanently unreadable"
        end
        raise CustodianDeniedError, "#{@connection.place} does not decrypt with this version of the transit key " \
                                    "#{said}: min_decryption_version revokes it"
      end
    end
  end
end
