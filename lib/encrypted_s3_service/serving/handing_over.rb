# frozen_string_literal: true

module EncryptedS3Service
  module Serving
    # For controllers: closes a body with a connection to the store in every case. Rails wraps a body in an
    # ActionDispatch::Response::Buffer, which does not close it when the server closes the response.
    # @api private
    module HandingOver
      # @return [Object] the result of the action
      def process_action(*)
        result = super
        kept = response_body.equal?(@file_body)
        result
      ensure
        # A callback raised, or replaced the response.
        @file_body&.close unless kept
      end

      private

      # @param body [Body] the body of the response
      # @return [void]
      def hand_over(body)
        @file_body = body
        self.response_body = body
        # The server calls it, or a middleware that drops the response (Response::RackBody).
        response.define_singleton_method(:abort) do
          body.close
          super()
        end
        close_after_answer(body)
        hide_to_ary
      end

      # Some servers call these when the response is sent.
      def close_after_answer(body)
        finished = request.get_header("rack.response_finished") || request.get_header("rack.after_reply")
        finished << ->(*) { body.close } if finished.respond_to?(:<<)
      end

      # In Rails 7.1 and 7.2 every body responds to `to_ary`, and its callers would hold the whole file in memory.
      def hide_to_ary
        stream = response.stream
        stream.singleton_class.undef_method(:to_ary) if stream.respond_to?(:to_ary)
      end
    end
  end
end
