# frozen_string_literal: true

require "aws-sdk-s3"

# An uploaded file.
class Document < ApplicationRecord
  # Errors of storing and reading a file, from the service that encrypts and from Rails' own.
  FAILURES = [EncryptedS3Service::Error, ActiveStorage::Error, Aws::Errors::ServiceError,
              Seahorse::Client::NetworkingError].freeze

  belongs_to :organisation

  has_one_attached :file do |file|
    # Strings, because a symbol becomes a string in the URL, and the variant would be created twice.
    file.variant :thumbnail, resize_to_limit: [1040, 720], format: "webp", saver: { quality: 80 }
  end

  validate { errors.add(:base, "Choose a file first.") unless file.attached? }

  scope :newest_first, -> { order(id: :desc) }

  # Maximum size in bytes of a file whose beginning is shown. No byte of an encrypted file is released before the needed
  # part is authenticated, which may be the whole file.
  PREVIEWED = 1.megabyte

  # @param count [Integer]
  # @return [String, nil] the first bytes of the file; nil if the file is large, empty or unreadable
  def beginning(count)
    file.blob.download_chunk(0...count) if file.byte_size.between?(1, PREVIEWED)
  rescue *FAILURES
    nil
  end

  # @return [Hash{ActiveStorage::Blob => String}] the preview and the thumbnails that exist, with their names
  def made_from_it
    preview = file.blob.preview_image.blob
    pictures = [file.blob, preview].compact.flat_map { |blob| blob.variant_records.map { |record| record.image.blob } }
    { preview => "Preview" }.compact_blank.merge(pictures.compact.to_h { |blob| [blob, "Thumbnail"] }).except(nil)
  end
end
