# frozen_string_literal: true

module EncryptedS3Service
  class Doctor
    # One line of the report. `status` is `:ok`, `:warning`, `:hint`, `:skipped` or `:failed`; `subject` names what was
    # checked; `text` is the result and, unless it is ok, the advice.
    # @api private
    Finding = Data.define(:status, :subject, :text) do
      # @return [Boolean]
      def failed? = status == :failed
    end
  end
end
