# frozen_string_literal: true

namespace :encrypted_s3_service do
  desc "Move files to another service: FROM=amazon TO=encrypted_amazon " \
       "[SCOPE=name[:argument]] [ATTACHMENT=Model#name] [DRY_RUN=true] [DELETE=true CONFIRM=number] " \
       "[REPAIR_CHECKSUMS=true] [CONCURRENCY=4] [FAILURES=path] [RETRY=path]"
  task migrate: :files do
    require "encrypted_s3_service/maintenance/migration/command"

    exit 1 unless EncryptedS3Service::Migration::Command.new(ENV.to_h).run
  rescue EncryptedS3Service::Error => e
    abort e.message
  end
end
