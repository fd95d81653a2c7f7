# frozen_string_literal: true

module EncryptedS3Service
  # Runs code at the end of a transaction, even if the record was not saved. Active Record's callbacks (`after_commit`,
  # `after_rollback`) run only for saved records.
  #
  # The object is added to the records of the transaction and has the methods that Active Record calls on them
  # (`active_record/connection_adapters/abstract/transaction.rb`, Rails 7.1 to 8.2).
  # @api private
  class TransactionEnd
    # @param model [Class] the model whose connection has the transaction
    # @param committed [#call, nil] called after a commit
    # @param rolledback [#call, nil] called after a rollback
    # @return [Boolean] false when no transaction is open
    def self.await(model, committed: nil, rolledback: nil)
      connection = model.connection_pool.active_connection? || nil
      # The transaction that wraps a test does not count.
      return false unless connection&.current_transaction&.joinable?

      connection.add_transaction_record(new(committed, rolledback))
      true
    end

    # @param committed [#call, nil] called after a commit
    # @param rolledback [#call, nil] called after a rollback
    def initialize(committed, rolledback)
      @committed = committed
      @rolledback = rolledback
    end

    # @return [Boolean] true
    def has_transactional_callbacks? = true # rubocop:disable Naming/PredicateName -- Active Record's name

    # @return [Boolean] true
    def trigger_transactional_callbacks? = true

    # @return [void]
    def before_committed!(*) = nil

    # @return [void]
    def add_to_transaction(*) = nil

    # @return [void]
    def committed!(*, **) = @committed&.call

    # @return [void]
    def rolledback!(*, **) = @rolledback&.call
  end
end
