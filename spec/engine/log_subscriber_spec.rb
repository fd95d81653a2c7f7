# frozen_string_literal: true

require_relative "../rails_helper"

RSpec.describe EncryptedS3Service::LogSubscriber do
  # @return [Array<String>] the lines of a log of that level
  def log(level)
    output = StringIO.new
    before = ActiveSupport::LogSubscriber.logger
    ActiveSupport::LogSubscriber.logger = ActiveSupport::Logger.new(output, level: level)
    yield
    output.string.lines
  ensure
    ActiveSupport::LogSubscriber.logger = before
  end

  def rotation_needed(key_id, key: "a", service: :enc)
    ActiveSupport::Notifications.instrument(EncryptedS3Service::DecryptionEvents::ROTATION_NEEDED,
                                            key: key, service: service, format: "v2", key_id: key_id)
  end

  it "logs each old key of a service once, for any number of files" do
    id = unique_key
    lines = log(:info) do
      20.times { |number| rotation_needed(id, key: "file #{number}") }
      rotation_needed(id, service: :other)
      rotation_needed("#{id} too")
    end
    expect(lines).to match([/"file 0" of enc is wrapped by the old key "#{id}"/,
                            /of other is wrapped by the old key "#{id}"/, /wrapped by the old key "#{id} too"/])
  end

  it "logs it for every file with the option for that" do
    id = unique_key
    expect(log(:debug) { 3.times { |number| rotation_needed(id, key: "file #{number}") } }.size).to eq(3)
  end

  it "ignores events below the log level" do
    subscriber = described_class.log_subscribers.grep(described_class).sole
    silenced = %i[info warn].to_h do |level|
      before = ActiveSupport::LogSubscriber.logger
      ActiveSupport::LogSubscriber.logger = ActiveSupport::Logger.new(IO::NULL, level: level)
      [level, %w[decrypt key_rotation_needed].select { subscriber.silenced?("#{_1}.encrypted_s3_service") }]
    ensure
      ActiveSupport::LogSubscriber.logger = before
    end
    expect(silenced).to eq(info: %w[decrypt], warn: %w[decrypt key_rotation_needed])
  end
end
