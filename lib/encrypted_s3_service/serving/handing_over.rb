# frozen_string_literal: true

module EncryptedS3Service
  module Serving
    # For controllers: a body that holds a connection to the store is closed, whatever becomes of the answer. Rails
    # wraps a body in an ActionDispatch::Response::Buffer, which does not tell it that the server has closed the answer.
    # @api private
    module HandingOver
      # @return [Object] what the controller's action returns
      def process_action(*)
        result = super
        kept = response_body.equal?(@file_body)
        result
      ensure
        # A callback has raised, or has put another answer in its place.
        @file_body&.close unless kept
      end

      private

      # @param body [Body] becomes the answer's
      # @return [void]
      def hand_over(body)
        @file_body = body
        self.response_body = body
        # What the server, or a middleware that drops the answer, calls on its body in the end (Response::RackBody).
        response.define_singleton_method(:abort) do
          body.close
          super()
        end
        close_after_answer(body)
        hide_to_ary
      end

      # Where the server tells that an answer is through, nobody else has to.
      def close_after_answer(body)
        finished = request.get_header("rack.response_finished") || request.get_header("rack.after_reply")
        finished << ->(*) { body.close } if finished.respond_to?(:<<)
      end

      # In Rails 7.1 and 7.2 every body claims to have it; whoever used it would hold the whole file in memory.
      def hide_to_ary
        stream = response.stream
        stream.singleton_class.undef_method(:to_ary) if stream.respond_to?(:to_ary)
      end
    end
  end
end
