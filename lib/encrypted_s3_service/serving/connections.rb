# frozen_string_literal: true

module EncryptedS3Service
  module Serving
    # Database connections of a request that will wait for a store or for a client, neither of which has anything to do
    # with the database.
    module Connections
      module_function

      # Gives back the connections that this thread holds, except those in a transaction. The next query takes one anew.
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
