# frozen_string_literal: true

module EncryptedS3Service
  # The version of the gem. The native extension must have the same version.
  VERSION = "0.1.0"
end
