# frozen_string_literal: true

require "aws-sdk-s3"

# An uploaded file.
class Document < ApplicationRecord
  # What storing or reading a file may end with: the errors of the service that encrypts, and of Rails' own.
  FAILURES = [EncryptedS3Service::Error, ActiveStorage::Error, Aws::Errors::ServiceError,
              Seahorse::Client::NetworkingError].freeze

  belongs_to :organisation

  has_one_attached :file do |file|
    # As strings: a symbol would become one on its way through an address, and the variant be made a second time.
    file.variant :thumbnail, resize_to_limit: [1040, 720], format: "webp", saver: { quality: 80 }
  end

  validate { errors.add(:base, "Choose a file first.") unless file.attached? }

  scope :newest_first, -> { order(id: :desc) }

  # Bytes up to which a file is opened only to show how it begins: a part of it can be trusted only after the whole is
  # authenticated.
  PREVIEWED = 1.megabyte

  # @param count [Integer]
  # @return [String, nil] the first bytes of the file; nil of a large one, an empty one, or one that cannot be read
  def beginning(count)
    file.blob.download_chunk(0...count) if file.byte_size.between?(1, PREVIEWED)
  rescue *FAILURES
    nil
  end

  # @return [Hash{ActiveStorage::Blob => String}] what Active Storage made from the file so far, and what it is
  def made_from_it
    preview = file.blob.preview_image.blob
    pictures = [file.blob, preview].compact.flat_map { |blob| blob.variant_records.map { |record| record.image.blob } }
    { preview => "Preview" }.compact_blank.merge(pictures.compact.to_h { |blob| [blob, "Thumbnail"] }).except(nil)
  end
end
