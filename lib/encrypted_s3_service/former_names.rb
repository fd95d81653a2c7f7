# frozen_string_literal: true

# Renamed constants of this gem.
module EncryptedS3Service
  # Former and present names. The former ones still work and warn through {deprecator}.
  # @api private
  FORMER_NAMES = { Audit: :DecryptionEvents, Command: :CLI }.freeze
  private_constant :FORMER_NAMES

  # @param name [Symbol]
  # @return [Module]
  # @raise [NameError] when it is not a former name
  # @api private
  def self.const_missing(name)
    present = FORMER_NAMES[name] or return super

    require_relative "deprecator"
    deprecator.warn("EncryptedS3Service::#{name} is deprecated. Use EncryptedS3Service::#{present} instead.")
    const_get(present)
  end
end
