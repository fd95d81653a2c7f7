# frozen_string_literal: true

# A customer, whose files are encrypted or not.
class Organisation < ApplicationRecord
  include EncryptedS3Service::Tenant

  # The files of the others go to the application's default service, which does not encrypt.
  encrypts_files_with :encrypted_amazon, if: :encrypted?

  has_many :documents, dependent: :destroy
end
