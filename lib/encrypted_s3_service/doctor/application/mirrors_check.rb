# frozen_string_literal: true

require_relative "../check"

module EncryptedS3Service
  class Doctor
    class Application
      # Checks that no mirror stores plaintext in addition to ciphertext.
      # @api private
      class MirrorsCheck < Check
        SUBJECT = "mirrors"
        private_constant :SUBJECT

        # @param entries [Hash] the entries of `storage.yml`
        def initialize(entries = Engine::StorageFile.entries)
          super(nil)
          @entries = entries
        end

        # @return [Array<Finding>]
        def call
          problems = MixedMirrors.problems(ServiceEntries.new(@entries))
          return [ok(SUBJECT, "none that encrypts only in part")] if problems.empty?

          problems.map { |problem| failed(SUBJECT, problem) }
        rescue ConfigurationError => e
          [failed(SUBJECT, e.message)]
        end
      end
    end
  end
end
