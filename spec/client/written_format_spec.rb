# frozen_string_literal: true

RSpec.describe EncryptedS3Service::Configuration, "#written_format" do
  policies = [nil, *EncryptedS3Service::Configuration::COMMITMENT_POLICIES]
  profiles = [nil, *EncryptedS3Service::Configuration::SECURITY_PROFILES]

  policies.product(profiles).each do |policy, profile|
    it "is the format that is written with commitment_policy #{policy.inspect}, #{profile.inspect}" do
      formats = { commitment_policy: policy, security_profile: profile }.compact
      begin
        client = new_client(**formats)
      rescue EncryptedS3Service::ConfigurationError => e
        configuration = described_class.new(**TestStore.settings(**formats))
        expect { configuration.written_format }.to raise_error(EncryptedS3Service::ConfigurationError, e.message)
        next
      end
      client.upload(key = unique_key, StringIO.new("data"))
      expect(client.configuration.written_format).to eq(client.envelope(key).format)
      expect(client.outdated_format?("v2")).to be(client.envelope(key).format == "v3")
      expect([nil, "v1", "v3"].map { |format| client.outdated_format?(format) }).to all(be(false))
    end
  end
end
