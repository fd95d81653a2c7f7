# frozen_string_literal: true

# Makes a file in the background and notes its service and customer in the file's name.
class TenantJob < ActiveJob::Base
  include EncryptedS3Service::Job

  # A job that fails the first time.
  class Hiccup < StandardError; end

  retry_on Hiccup, wait: 0

  # @return [ActiveStorage::Blob]
  def self.make(name)
    ActiveStorage::Blob.create_and_upload!(
      io: StringIO.new("made by #{name}"), filename: name, identify: false,
      metadata: { custom: { tenant: Current.organisation&.name } }
    )
  end

  # @param name [String] of the file
  # @param fail_first [Boolean]
  # @param nested [String, nil] the name of a file that another job makes meanwhile
  def perform(name, fail_first: false, nested: nil)
    raise Hiccup if fail_first && executions == 1

    TenantJob.perform_later(nested) if nested
    TenantJob.make(name)
  end
end
