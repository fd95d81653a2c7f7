# frozen_string_literal: true

module EncryptedS3Service
  class Doctor
    # One line of the report. `status` is `:ok`, `:warning`, `:hint`, `:skipped` or `:failed`, `subject` what was looked
    # at, `text` what was found and, unless it is well, what to do.
    # @api private
    Finding = Data.define(:status, :subject, :text) do
      # @return [Boolean]
      def failed? = status == :failed
    end
  end
end
