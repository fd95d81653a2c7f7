# frozen_string_literal: true

module EncryptedS3Service
  module Serving
    # Releases database connections before a request waits for the store or for the client, which can take minutes.
    module Connections
      module_function

      # Returns this thread's connections to their pools, except those in a transaction. The next query checks one out
      # again.
      # @return [void]
      def release
        return unless defined?(ActiveRecord::Base)

        ActiveRecord::Base.connection_handler.each_connection_pool do |pool|
          pool.release_connection if pool.active_connection? && !pool.active_connection?.transaction_open?
        end
      end
    end
  end
end
