# frozen_string_literal: true

require "rspec/expectations"
require_relative "test_helper"

# A matcher for an application's specs: checks that a stored file is encrypted.
#
#   expect(contract.pdf).to be_stored_encrypted
#   expect(contract.pdf).to be_stored_encrypted.in(:encrypted_amazon)
RSpec::Matchers.define :be_stored_encrypted do
  chain(:in) { |service| @service = service }

  match do |file|
    @problem = EncryptedS3Service::TestHelper.problem(file, service: @service)
    @problem.nil?
  end

  match_when_negated do |file|
    @objection = EncryptedS3Service::TestHelper.objection(file, service: @service)
    @objection.nil?
  end

  failure_message { @problem }
  failure_message_when_negated { @objection }
end
