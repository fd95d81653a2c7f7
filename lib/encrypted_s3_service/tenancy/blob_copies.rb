# frozen_string_literal: true

module EncryptedS3Service
  # Hooks of {BlobCopy} in Active Storage.
  # @api private
  module BlobCopies
    # Prepended to ActiveStorage::Attached::Model::ClassMethods.
    module Declarations
      # As in Rails, with one more option:
      # @param copy_attached_blobs [Boolean, nil] nil for `config.encrypted_s3_service.copy_attached_blobs`
      def has_one_attached(name, copy_attached_blobs: nil, **options, &) # rubocop:disable Naming/PredicateName
        super(name, **options, &)
        note_copies(name, copy_attached_blobs)
      end

      # As in Rails, with one more option:
      # @param copy_attached_blobs [Boolean, nil] nil for `config.encrypted_s3_service.copy_attached_blobs`
      def has_many_attached(name, copy_attached_blobs: nil, **options, &) # rubocop:disable Naming/PredicateName
        super(name, **options, &)
        note_copies(name, copy_attached_blobs)
      end

      private

      def note_copies(name, choice)
        reflect_on_attachment(name).options[:copy_attached_blobs] = choice unless choice.nil?
      end
    end

    # Prepended to ActiveStorage::Attached::Changes::CreateOne, and so in CreateOneOfMany.
    module One
      # @return [void]
      def save
        store_copy
        super
      end

      # @return [void]
      def store_copy = blob.encrypted_s3_copy&.store

      private

      def find_or_build_blob
        blob = super
        BlobCopy.for(record, name, blob)&.blob || blob
      end
    end

    # Prepended to ActiveStorage::Attached::Changes::CreateMany.
    module Many
      # @return [void]
      def save
        subchanges.each(&:store_copy)
        super
      end
    end

    # Included in ActiveStorage::Blob.
    module Blob
      # @return [BlobCopy, nil] the copy that makes this new blob, until it is stored
      attr_accessor :encrypted_s3_copy
    end

    # @return [void]
    def self.install
      ActiveStorage::Blob.include(Blob)
      ActiveStorage::Attached::Changes::CreateOne.prepend(One)
      ActiveStorage::Attached::Changes::CreateMany.prepend(Many)
    end
  end
end
