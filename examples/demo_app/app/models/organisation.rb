# frozen_string_literal: true

# A customer. Its files are encrypted or not.
class Organisation < ApplicationRecord
  include EncryptedS3Service::Tenant

  # The files of other customers are stored in the default service, which does not encrypt.
  encrypts_files_with :encrypted_amazon, if: :encrypted?

  has_many :documents, dependent: :destroy
end
