# frozen_string_literal: true

namespace :encrypted_s3_service do
  desc "Wrap all files' data keys with the writing key: [SERVICE=name] [DRY_RUN=true] [REENCRYPT=true] [VERIFY=true] " \
       "[CONCURRENCY=4] [RATE=objects per second] [FAILURES=path] [RETRY=path]"
  task rotate: :files do
    require "encrypted_s3_service/maintenance/rotation/command"

    exit 1 unless EncryptedS3Service::Rotation::Command.new(ENV.to_h).rotate
  rescue EncryptedS3Service::Error => e
    abort e.message
  end

  desc "Count formats and keys of all files, and list missing and unencrypted files: " \
       "[SERVICE=name] [CONCURRENCY=4] [RATE=objects per second] [FAILURES=path] [RETRY=path]"
  task audit: :files do
    require "encrypted_s3_service/maintenance/rotation/command"

    exit 1 unless EncryptedS3Service::Rotation::Command.new(ENV.to_h).audit
  rescue EncryptedS3Service::Error => e
    abort e.message
  end
end
