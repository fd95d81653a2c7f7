# frozen_string_literal: true

module EncryptedS3Service
  class DestructionReport
    # The results of attempts to open an object.
    # @api private
    module Results
      # A key of the application opens it, or it is stored unencrypted.
      OPENED = "opened"
      # The store or the key's custodian did not answer, or the object is damaged or has no envelope.
      NOT_TRIED = "not tried"
      # No key of the application opens it, but its envelope is for recovery keys.
      RECOVERABLE = "recoverable"
      # No key opens it.
      UNREADABLE = "unreadable"
      # Nothing is stored.
      GONE = "gone"
      # All of them, the worst first.
      ALL = [OPENED, NOT_TRIED, RECOVERABLE, UNREADABLE, GONE].freeze
      # Those that prove nothing.
      UNPROVEN = [OPENED, NOT_TRIED, RECOVERABLE].freeze

      module_function

      # @param errors [Array<Error, nil>] an error for each attempt, nil where the object was opened
      # @param recovery_keys [Array<String>] that the envelope names
      # @return [String]
      def of(errors, recovery_keys)
        return OPENED if errors.include?(nil)
        return NOT_TRIED unless errors.all? { |error| by_key?(error) }

        recovery_keys.any? ? RECOVERABLE : UNREADABLE
      end

      # @param tried [Array<Hash{Symbol => Object}>]
      # @return [String] the result that matters most
      def worst(tried) = tried.map { |try| try[:result] }.min_by { |result| ALL.index(result) }

      # Whether the object cannot be opened because a key is missing, and not because a server did not answer or the key
      # is disabled in AWS KMS, where it can be enabled again.
      # @param error [Error]
      # @return [Boolean]
      def by_key?(error)
        error.is_a?(KeyringError) && !error.is_a?(CustodianError) && !error.is_a?(KeyDisabledError)
      end
    end
  end
end
