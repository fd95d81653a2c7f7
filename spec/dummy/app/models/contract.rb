# frozen_string_literal: true

# Some of its files are encrypted for every customer.
class Contract < ActiveRecord::Base
  belongs_to :organisation, optional: true

  has_one_attached :contract_pdf, service: :encrypted
  # Rails 7.1 takes names only.
  if Rails.gem_version >= Gem::Version.new("7.2")
    has_one_attached :scan, service: ->(contract) { contract.organisation&.encrypted? ? :encrypted : :local }
  end
  has_one_attached :flyer, service: :local
  has_one_attached :note
  has_many_attached :appendices, service: :encrypted
  has_one_attached :template, service: :encrypted, copy_attached_blobs: true
  has_many_attached :pictures, service: :encrypted, copy_attached_blobs: true
  has_one_attached :original, service: :encrypted, copy_attached_blobs: false
end
