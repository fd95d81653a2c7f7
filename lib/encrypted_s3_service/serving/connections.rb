# frozen_string_literal: true

module EncryptedS3Service
  module Serving
    # Releases database connections before a request waits for the store or for the client, which can take minutes.
    module Connections
      module_function

      # @return [Array<ActiveRecord::ConnectionAdapters::ConnectionPool>] pools of which this thread has a connection
      def held
        return [] unless defined?(ActiveRecord::Base)

        ActiveRecord::Base.connection_handler.each_connection_pool.select(&:active_connection?)
      end

      # Returns this thread's connections to their pools, except those in a transaction. The next query checks one out
      # again.
      # @param except [Array<ActiveRecord::ConnectionAdapters::ConnectionPool>] pools whose connections are kept
      # @return [void]
      def release(except: [])
        (held - except).each do |pool|
          pool.release_connection unless pool.active_connection?&.transaction_open?
        end
      end
    end
  end
end
