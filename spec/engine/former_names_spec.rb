# frozen_string_literal: true

require_relative "../rails_helper"

RSpec.describe "Names that have changed" do
  { "EncryptedS3Service::Audit" => "EncryptedS3Service::DecryptionEvents",
    "EncryptedS3Service::Command" => "EncryptedS3Service::CLI" }.each do |former, present|
    it "#{former} is #{present}, with a warning" do
      warnings = []
      EncryptedS3Service.deprecator.silence { expect(former.constantize).to be(present.constantize) }
      allow(EncryptedS3Service.deprecator).to receive(:behavior).and_return([->(message, *) { warnings << message }])
      former.constantize
      expect(warnings).to match([/#{former} is deprecated\. Use #{present} instead\./])
    end
  end

  it "warn according to the application's deprecation settings" do
    expect(Rails.application.deprecators[:encrypted_s3_service]).to be(EncryptedS3Service.deprecator)
  end

  it "do not define any other name" do
    expect { EncryptedS3Service.const_get(:Nothing) }.to raise_error(NameError, /EncryptedS3Service::Nothing/)
  end
end
