# frozen_string_literal: true

module EncryptedS3Service
  # Something to do when the transaction of a record has ended, whether the record itself was saved or not: Active
  # Record's callbacks (`after_commit`, `after_rollback`) are for records that were.
  #
  # It is put among the records of the transaction and answers what Active Record asks of them
  # (`active_record/connection_adapters/abstract/transaction.rb`, Rails 7.1 to 8.2).
  # @api private
  class TransactionEnd
    # @param model [Class] whose connection has the transaction
    # @param committed [#call, nil]
    # @param rolledback [#call, nil]
    # @return [Boolean] false where no transaction is open
    def self.await(model, committed: nil, rolledback: nil)
      connection = model.connection_pool.active_connection? || nil
      # Those of tests, around everything, do not count.
      return false unless connection&.current_transaction&.joinable?

      connection.add_transaction_record(new(committed, rolledback))
      true
    end

    # @param committed [#call, nil]
    # @param rolledback [#call, nil]
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
