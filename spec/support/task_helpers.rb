# frozen_string_literal: true

# Helpers for the tasks that process all files.
module TaskHelpers
  # Deletes the rows of other examples.
  def forget_all_files
    require "encrypted_s3_service/maintenance/migration"
    ActiveStorage::Attachment.delete_all
    ActiveStorage::Blob.delete_all
    former_keys = EncryptedS3Service::Migration::FormerKeys
    EncryptedS3Service::Migration::FormerKey.delete_all if former_keys.table?
  end

  # @return [String] the text of a file of {#create_files}
  def text_of(number) = "file #{number} of many\n" * (number % 50)

  # @param name [String] the service in the rows
  # @param stored_in [ActiveStorage::Service] the service that stores the files
  # @return [Array<String>] their keys
  def create_files(count, name, stored_in: ActiveStorage::Blob.services.fetch(name))
    keys = Array.new(count) { |number| "f#{SecureRandom.hex(10)}#{number}" }
    rows = keys.map.with_index do |key, number|
      text = text_of(number)
      stored_in.upload(key, StringIO.new(text))
      { key: key, filename: "#{number}.txt", content_type: "text/plain", service_name: name,
        byte_size: text.bytesize, checksum: md5(text), metadata: "{}", created_at: Time.current }
    end
    ActiveStorage::Blob.insert_all!(rows)
    keys
  end

  # Adds services during the block.
  # @param entries [Hash{String => Hash}] entries as in config/storage.yml, by the names of the services
  def resolving(entries)
    settings = Rails.configuration.encrypted_s3_service
    settings.service_resolver = ->(name) { entries[name] }
    # Their endpoints are on this machine, which is refused otherwise.
    settings.trusted_resolver = true
    EncryptedS3Service.instance_variable_set(:@resolved_services, nil)
    yield
  ensure
    settings.service_resolver = nil
    settings.trusted_resolver = nil
    EncryptedS3Service.instance_variable_set(:@resolved_services, nil)
  end
end
