# frozen_string_literal: true

require_relative "rails_helper"
require_relative "support/encrypted_objects"
require_relative "support/samples"

# Helpers for the specs of Active Storage's features.
module ActiveStorageFeatures
  # @return [ActiveStorage::Blob] uploaded through the dummy application's encrypted service
  def blob_of(data, filename, **)
    ActiveStorage::Blob.create_and_upload!(io: StringIO.new(data), filename: filename, **)
  end

  # Attaches a blob to a record that does not exist, without Rails' callbacks.
  # @return [ActiveStorage::Blob] the same
  def attached(blob)
    ActiveStorage::Attachment.insert!({ name: "file", record_type: "Document", record_id: 0, blob_id: blob.id,
                                        created_at: Time.current })
    blob
  end

  # @return [Hash] an attachable file, for an attribute
  def attachable(data, filename) = { io: StringIO.new(data), filename: filename }

  # @return [Array(Integer, Integer)] width and height of a picture, according to ImageMagick
  def dimensions(picture) = identify(picture, "%w %h").split.map(&:to_i)

  # @return [String] ImageMagick's name of its format
  def format_of(picture) = identify(picture, "%m")

  def identify(picture, format)
    output, status = Open3.capture2("magick", "identify", "-format", format, "-", stdin_data: picture, binmode: true)
    raise "ImageMagick does not take this for a picture" unless status.success?

    output
  end

  # Performs the waiting jobs, and those that they enqueue, until none is left.
  def perform_all_jobs
    perform_enqueued_jobs until enqueued_jobs.empty?
  end

  # Sets one of Active Storage's process-wide settings for the block.
  def with_setting(name, value)
    before = ActiveStorage.public_send(name)
    ActiveStorage.public_send(:"#{name}=", value)
    yield
  ensure
    ActiveStorage.public_send(:"#{name}=", before)
  end
end

RSpec.configure do |config|
  config.define_derived_metadata(file_path: %r{/spec/active_storage/}) { |metadata| metadata[:active_storage] = true }
  config.include EncryptedObjects, :active_storage
  config.include ActiveStorageFeatures, :active_storage

  # A job of another spec must not be performed here.
  config.before(:each, :active_storage) { enqueued_jobs.clear }
end
