# frozen_string_literal: true

# A customer, with or without encryption.
class Organisation < ActiveRecord::Base
  include EncryptedS3Service::Tenant

  encrypts_files_with :encrypted, if: :encrypted?
end
