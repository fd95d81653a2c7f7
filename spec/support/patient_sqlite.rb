# frozen_string_literal: true

# Waiting for another thread's transaction. The sqlite3 gem before 2.0 waits with Ruby's lock held, so that the thread
# with the database cannot release it, and gives up after the whole timeout. This waits like 2.0. Transactions must
# begin as writing ones (`default_transaction_mode`, Rails' own choice from 8.0 on): if a transaction has read before it
# writes, SQLite does not wait at all.
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
