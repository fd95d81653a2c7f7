# frozen_string_literal: true

namespace :encrypted_s3_service do
  desc "Store the segment maps of large files that have none: [SERVICE=name] [SCOPE=name[:argument]] " \
       "[ATTACHMENT=Model#name] [DRY_RUN=true] [CONCURRENCY=4] [RATE=objects per second] [FAILURES=path] [RETRY=path]"
  task index: :files do
    require "encrypted_s3_service/maintenance/indexing/command"

    exit 1 unless EncryptedS3Service::Indexing::Command.new(ENV.to_h).run
  rescue EncryptedS3Service::Error => e
    abort e.message
  end
end
