# frozen_string_literal: true

require "active_support"
require "active_support/deprecation"

# What warns of names that have changed.
module EncryptedS3Service
  # Warns of names of this gem that have changed. In Rails it is `Rails.application.deprecators[:encrypted_s3_service]`
  # and follows `config.active_support.deprecation`.
  # @return [ActiveSupport::Deprecation]
  def self.deprecator
    @deprecator ||= ActiveSupport::Deprecation.new("1.0", "encrypted_s3_service")
  end
end
