# frozen_string_literal: true

module EncryptedS3Service
  # The version of the gem; the native extension carries the same one and is refused when it differs.
  VERSION = "0.1.0"
end
