# frozen_string_literal: true

require "active_support"
require "active_support/deprecation"

# Deprecation warnings of this gem.
module EncryptedS3Service
  # Warns about former names. In Rails it is `Rails.application.deprecators[:encrypted_s3_service]` and follows
  # `config.active_support.deprecation`.
  # @return [ActiveSupport::Deprecation]
  def self.deprecator
    @deprecator ||= ActiveSupport::Deprecation.new("1.0", "encrypted_s3_service")
  end
end
