# frozen_string_literal: true

# Constants of this gem that have other names now.
module EncryptedS3Service
  # The former names, and what they are called now. They go on working, with a warning of {deprecator}.
  # @api private
  FORMER_NAMES = { Audit: :DecryptionEvents, Command: :CLI }.freeze
  private_constant :FORMER_NAMES

  # @param name [Symbol]
  # @return [Module]
  # @raise [NameError] when it is no former name either
  # @api private
  def self.const_missing(name)
    present = FORMER_NAMES[name] or return super

    require_relative "deprecator"
    deprecator.warn("EncryptedS3Service::#{name} is deprecated. Use EncryptedS3Service::#{present} instead.")
    const_get(present)
  end
end
