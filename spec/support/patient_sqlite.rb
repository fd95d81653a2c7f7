# frozen_string_literal: true

# Waiting for another thread's transaction. The sqlite3 gem before 2.0 waits with Ruby's lock held, so that the thread
# which has the database cannot give it back, and gives up after the whole timeout. This waits as 2.0 does. It takes
# transactions that begin as writing ones (`default_transaction_mode`, Rails' own choice from 8.0 on): for one that has
# read before it writes SQLite does not wait at all.
module PatientSqlite
  # Seconds between two attempts, and how many there are.
  PAUSE = 0.002
  ATTEMPTS = 5_000

  private

  def configure_connection
    super
    @raw_connection.busy_handler { |count| sleep(PAUSE) && count < ATTEMPTS }
  end
end

ActiveSupport.on_load(:active_record_sqlite3adapter) { prepend PatientSqlite }
