# frozen_string_literal: true

require "encrypted_s3_service/doctor"
require_relative "doctor_findings"

# Runs the doctor on an entry for the bucket of the specs, and checks that it leaves nothing there.
RSpec.shared_context "with an entry to examine" do
  include DoctorFindings

  let(:key) { EncryptedS3Service::EncryptionKey.generate }
  let(:output) { StringIO.new }

  def unfinished = server.multipart_uploads(bucket).map { |upload| upload[:key] }.grep(/\Aencrypted_s3_service-doctor/)

  # Some examples deny the deletion, so that earlier uploads may be left.
  before { @unfinished_before = unfinished }
  after { probes.each { |probe| server.delete(bucket, probe) } }

  def entry(**overrides)
    { service: "EncryptedS3", **server.storage_yml(bucket).transform_keys(&:to_sym), encryption_key: key, **overrides }
  end

  def examine(**) = EncryptedS3Service::Doctor.new({ "encrypted" => entry(**) }, output: output).run

  def statuses = findings.transform_values(&:first)

  def probes = server.list(bucket, prefix: "encrypted_s3_service-doctor/")

  # Neither objects nor unfinished multipart uploads.
  def expect_nothing_left
    expect(probes).to eq([])
    expect(unfinished - @unfinished_before).to eq([])
  end

  def denied(code = "AccessDenied") = { status: 403, answer: "<Error><Code>#{code}</Code></Error>" }
end
