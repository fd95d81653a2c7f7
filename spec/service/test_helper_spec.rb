# frozen_string_literal: true

require_relative "../rails_helper"
require_relative "../support/samples"
require "encrypted_s3_service/rspec"
require "minitest"

RSpec.describe EncryptedS3Service::TestHelper do
  let(:test) do
    Class.new do
      include Minitest::Assertions
      include EncryptedS3Service::TestHelper
      attr_accessor :assertions

      def initialize = @assertions = 0
    end.new
  end

  def stored_in(service)
    ActiveStorage::Blob.create_and_upload!(io: StringIO.new("a contract"), filename: "a.txt", service_name: service)
  end

  def failure
    yield
    nil
  rescue Minitest::Assertion => e
    e.message
  end

  it "passes for an encrypted file, in every form in which it can be given" do
    document = Document.create!(file: { io: StringIO.new("a contract"), filename: "a.txt" })
    [document.file, document.file.attachment, document.file.blob, stored_in("encrypted")].each do |file|
      expect(failure { test.assert_encrypted(file) }).to be_nil
      expect(failure { test.assert_not_encrypted(file) }).to eq("The file is encrypted.")
      expect(file).to be_stored_encrypted
    end
    expect(test.assertions).to be >= 8
  end

  it "checks every file of a has_many_attached" do
    document = Document.create!
    expect(failure { test.assert_encrypted(document.pages) }).to eq("There is no file.")
    expect(failure { test.assert_not_encrypted(document.pages) }).to eq("There is no file.")
    document.pages.attach(stored_in("encrypted"))
    expect(failure { test.assert_encrypted(document.pages, service: :encrypted) }).to be_nil
    document.pages.attach(stored_in("local"))
    expect(failure { test.assert_encrypted(document.pages) }).to match(/stored in plaintext by the service local/)
    expect(failure { test.assert_not_encrypted(document.pages) }).to eq("The file is encrypted.")
    expect { expect(document.pages).not_to be_stored_encrypted }
      .to raise_error(RSpec::Expectations::ExpectationNotMetError, "The file is encrypted.")
  end

  it "checks every file of a list or a relation" do
    stored = %w[encrypted local].map { |service| stored_in(service) }
    [stored, ActiveStorage::Blob.where(id: stored)].each do |files|
      expect(failure { test.assert_encrypted(files) }).to match(/stored in plaintext by the service local/)
      expect(failure { test.assert_not_encrypted(files) }).to eq("The file is encrypted.")
    end
    expect(failure { test.assert_encrypted(stored.first(1)) }).to be_nil
    expect(failure { test.assert_encrypted([]) }).to eq("There is no file.")
  end

  it "says that the file of an unsaved record is not stored yet" do
    document = Document.new(file: { io: StringIO.new("a contract"), filename: "a.txt" })
    message = "The file \"a.txt\" is not stored yet. Save its record first."
    expect(failure { test.assert_encrypted(document.file) }).to eq(message)
    expect(failure { test.assert_not_encrypted(document.file) }).to eq(message)
  end

  it "names the accepted arguments when it is given no file" do
    { Document.create! => "Document", "a.txt" => "String", [1] => "Integer" }.each do |file, name|
      message = /attached file, such as contract.pdf, .* but got an object of the class #{name}\./
      expect { test.assert_encrypted(file) }.to raise_error(ArgumentError, message)
      expect { test.assert_not_encrypted(file) }.to raise_error(ArgumentError, message)
      expect { expect(file).to be_stored_encrypted }.to raise_error(ArgumentError, message)
    end
  end

  it "fails for a file in a service that does not encrypt, and names the service" do
    plain = stored_in("local")
    expect(failure { test.assert_encrypted(plain, "Contracts are secret.") })
      .to eq("Contracts are secret.\nThe file \"a.txt\" is stored in plaintext by the service local.")
    expect(failure { test.assert_not_encrypted(plain) }).to be_nil
    expect(plain).not_to be_stored_encrypted
  end

  it "fails if any part of a mirror has the plaintext" do
    expect(failure do
             test.assert_encrypted(stored_in("mirrored"))
           end).to match(/stored in plaintext by the service local/)
  end

  it "reads the bucket, and fails for foreign objects and missing ones" do
    blob = stored_in("encrypted")
    headers, = stored(blob.key)
    [[{}, "a contract"], [{}, "a contract" * 1000], [headers, "a contract" * 10]].each do |metadata, body|
      restore(blob.key, metadata, body)
      expect(failure { test.assert_encrypted(blob) })
        .to match(/is not encrypted or was changed in the bucket of the service encrypted: /)
    end
    new_client.delete(blob.key)
    expect(failure { test.assert_encrypted(blob) }).to match(/is not in the bucket of the service encrypted/)
    expect(failure { test.assert_encrypted(Document.new.file) }).to eq("There is no file.")
  end

  it "does not call a missing file unencrypted" do
    plain = stored_in("local").tap { |blob| blob.service.delete(blob.key) }
    gone = stored_in("encrypted").tap { |blob| new_client.delete(blob.key) }
    { Document.new.file => "There is no file.", nil => "There is no file.",
      plain => "The file \"a.txt\" is not in the bucket of the service local.",
      gone => "The file \"a.txt\" is not in the bucket of the service encrypted." }.each do |file, reason|
      expect(failure { test.assert_not_encrypted(file) }).to eq(reason)
      expect { expect(file).not_to be_stored_encrypted }
        .to raise_error(RSpec::Expectations::ExpectationNotMetError, reason)
    end
  end

  it "accepts variants and empty files" do
    expect(stored_in("encrypted").tap { |blob| blob.upload(StringIO.new("")) }).to be_stored_encrypted
    picture = ActiveStorage::Blob.create_and_upload!(io: StringIO.new(Samples.png(30, 50)), filename: "a.png")
    variant = picture.variant(resize_to_limit: [10, 10]).processed
    expect(failure { test.assert_encrypted(variant, service: :encrypted) }).to be_nil
  end

  it "accepts variants without a row" do
    picture = ActiveStorage::Blob.create_and_upload!(io: StringIO.new(Samples.png(30, 50)), filename: "a.png")
    variant = ActiveStorage::Variant.new(picture, ActiveStorage::Variation.wrap(resize_to_limit: [10, 10]))
    expect(failure { test.assert_encrypted(variant) }).to match(/is not in the bucket of the service encrypted/)
    expect(failure { test.assert_encrypted(variant.processed, service: :encrypted) }).to be_nil
    restore(variant.key, {}, "a picture that is not encrypted")
    expect(failure { test.assert_encrypted(variant) }).to match(/is not encrypted or was changed/)
  end

  it "fails for an encrypted file in another service than the named one" do
    blob = stored_in("encrypted")
    expect(failure { test.assert_encrypted(blob, service: :encrypted) }).to be_nil
    expect(failure { test.assert_encrypted(blob, service: :mirrored) })
      .to match(/in the service encrypted, not in mirrored/)
    expect(blob).to be_stored_encrypted.in(:encrypted)
    expect(blob).not_to be_stored_encrypted.in("mirrored")
  end
end
