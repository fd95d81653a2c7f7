# frozen_string_literal: true

# Waits for the transaction of another thread as the sqlite3 gem does from 2.0 on. Before that, it waits with Ruby's
# lock held, so that the other thread cannot finish, and gives up after the whole timeout. Transactions must begin as
# writing ones (`default_transaction_mode`, Rails' default from 8.0 on): SQLite does not wait in a transaction that has
# read before it writes.
module PatientSqlite
  # Seconds between two attempts, and their number.
  PAUSE = 0.002
  ATTEMPTS = 5_000

  private

  def configure_connection
    super
    @raw_connection.busy_handler { |count| sleep(PAUSE) && count < ATTEMPTS }
  end
end

ActiveSupport.on_load(:active_record_sqlite3adapter) { prepend PatientSqlite }
