# frozen_string_literal: true

require_relative "../rails_helper"
require "active_storage/service/disk_service"
require "active_storage/service/s3_service"

# Examines the installed Rails instead of its version: new requirements of a later Rails on a service show here.
RSpec.describe ActiveStorage::Service::EncryptedS3Service, "beside the services of the installed Rails" do
  interface = ActiveStorage::Service
  # Methods that only the other services have: their settings, and the Disk service's path of a file.
  own = %i[client bucket multipart_upload_threshold upload_options default_digest_type default_digest_class root root=
           path_for]
  # Methods of Rails' base class that are right for this service too; the last two came with Rails 8.2.
  inherited = %i[name name= url public? update_metadata headers_for_direct_upload compute_checksum
                 checksum_implementation]

  [interface::S3Service, interface::DiskService].each do |peer|
    (peer.public_instance_methods(false) - own - inherited).sort.each do |name|
      it "accepts the same arguments for #{name} as #{peer.name.demodulize}" do
        asked = peer.instance_method(name).parameters
        taken = described_class.instance_method(name).parameters
        expect(positional(taken, %i[req])).to be <= positional(asked, %i[req])
        expect(positional(taken, %i[req opt])).to be >= positional(asked, %i[req opt])
        expect(keywords(asked) - keywords(taken)).to eq([]) unless taken.assoc(:keyrest)
        expect(keywords(taken, %i[keyreq]) - keywords(asked)).to eq([])
      end
    end
  end

  def positional(parameters, kinds) = parameters.count { |kind, _| kinds.include?(kind) }

  def keywords(parameters, kinds = %i[key keyreq])
    parameters.filter_map { |kind, name| name if kinds.include?(kind) }
  end

  it "overrides every method that Active Storage expects of a service" do
    unanswered = interface.public_instance_methods(false).select do |name|
      described_class.instance_method(name).owner == interface
    end
    expect(unanswered - inherited).to eq([])
  end
end
