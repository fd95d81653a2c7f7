# frozen_string_literal: true

namespace :encrypted_s3_service do
  desc "Print a new encryption key, once"
  task :generate_key do
    require "encrypted_s3_service"

    $stdout.puts EncryptedS3Service::EncryptionKey.generate
    # Ruby ignores errors of the last write when the process ends, for example on a full disk.
    $stdout.flush
    warn <<~ADVICE

      This key is not stored anywhere. Put it into the credentials (bin/rails credentials:edit):

        encrypted_s3:
          encryption_key: "base64:…"

      or into the environment variable ENCRYPTION_KEY, and refer to it in config/storage.yml:

        encryption_key: <%= Rails.application.credentials.dig(:encrypted_s3, :encryption_key) %>

      Keep a copy outside of the bucket. If the key is lost, the files are lost. Do not replace a key under which files are
      encrypted: move it to decryption_keys and run encrypted_s3_service:rotate.
    ADVICE
  end

  desc "Create a key, wrap it with the key custodian, and print the reference for encryption_key: TRANSIT_KEY=name"
  task wrap_key: :environment do
    custodian = EncryptedS3Service.key_custodian
    abort EncryptedS3Service::KeyCustody.missing("The new key") unless custodian
    unless custodian.respond_to?(:wrap)
      abort "The key custodian #{custodian.class} cannot wrap keys (it has no method `wrap`)."
    end
    name = ENV["TRANSIT_KEY"].presence or abort "Name the transit key that encrypts the new key: TRANSIT_KEY=name"

    puts custodian.wrap(SecureRandom.bytes(EncryptedS3Service::EncryptionKey::SIZE), key: name)
    $stdout.flush
  rescue EncryptedS3Service::Error => e
    abort e.message
  end

  # Prerequisite of the tasks that process all files.
  task files: :environment do
    EncryptedS3Service::Engine.require_tables
  rescue EncryptedS3Service::ConfigurationError => e
    abort e.message
  end

  desc "Test the EncryptedS3 services of config/storage.yml, or one service (also a tenant's): SERVICE=name"
  task doctor: :environment do
    require "encrypted_s3_service/doctor"

    begin
      doctor = EncryptedS3Service::Doctor.new(EncryptedS3Service::Doctor.rails_configurations,
                                              services: EncryptedS3Service::Doctor.rails_services)
      only = ENV["SERVICE"].presence
      exit 1 unless doctor.run(only, application: only.nil?)
    rescue EncryptedS3Service::ConfigurationError => e
      abort e.message
    end
  end

  desc "List the files that cannot be read any more because their tenants' keys are destroyed. REPORT=path tries " \
       "each file and writes a signed report; SERVICE=name for one service"
  task unreadable: :files do
    require "encrypted_s3_service/maintenance/unreadable_files"

    begin
      command = EncryptedS3Service::UnreadableFiles::Command.new(ENV.to_h)
      exit 1 unless command.run
    rescue EncryptedS3Service::Error => e
      abort e.message
    end
  end
end
