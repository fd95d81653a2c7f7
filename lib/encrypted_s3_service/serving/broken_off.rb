# frozen_string_literal: true

module EncryptedS3Service
  module Serving
    # Ends a response whose file cannot be read to its end. The client must not take the part that it has for the file.
    # @api private
    module BrokenOff
      # For an EOFError, servers close the connection and write nothing (Puma's `client_error`, Unicorn's
      # `handle_error`). For other errors they write an error page, which a client takes for the next bytes of the file.
      # They do not log an EOFError, so the cause is logged and reported here.
      # @param cause [StandardError]
      # @return [EOFError]
      def self.error(cause)
        text = "A response was broken off. #{Error.describe(cause)}"
        Rails.logger&.error("encrypted_s3_service: #{text}")
        Rails.error.report(cause, handled: false, source: "encrypted_s3_service")
        EOFError.new(text)
      end

      # Extends the stream of an action with ActionController::Live. After an error Rails ends the stream as after the
      # last chunk, or, from Rails 8 on, not at all. A client that does not know the length of the file would see a
      # complete response, and one that knows it would wait for the rest.
      module Stream
        # Called in the thread of the action. The stream is closed at once: for a page Rails would write HTML into it.
        # @param cause [StandardError]
        # @return [void]
        def break_off(cause)
          @broken_off_by = cause
          close
        end

        # Called in the thread of the server.
        # @yieldparam chunk [String]
        # @raise [EOFError] after the last chunk, if the stream was broken off
        def each(&block)
          return super unless block

          super
          raise EOFError, "The response was broken off.", cause: @broken_off_by if @broken_off_by
        end

        # Called in the thread of the server when it takes no more chunks, as when the client has left. Rails' `close`
        # waits for a place in the queue with the lock of the stream, and its `abort` first for that lock: both threads
        # would wait for ever.
        # @return [void]
        def abort
          @aborted = true
          @buf.clear
          super
        end
      end
    end
  end
end
