# frozen_string_literal: true

require_relative "open_bao_server"

# Helpers for keys in custody.
module Custody
  # A custodian, as an application may define one. It records the requests.
  class Recording
    attr_reader :asked

    # @yieldparam reference [String]
    def initialize(&answer)
      @answer = answer
      @asked = Queue.new
    end

    def unwrap(reference)
      @asked << reference
      @answer.call(reference)
    end
  end

  def self.included(group)
    group.after do
      EncryptedS3Service.key_custodian = nil
      EncryptedS3Service.key_custody_ttl = nil
      EncryptedS3Service.forget_keys
    end
  end

  def bao = OpenBaoServer.shared

  # @return [EncryptedS3Service::OpenBao] the custodian of this process from now on
  def use_open_bao(server = bao, **options)
    options = { token: OpenBaoServer::ROOT, **options } unless (options.keys & %i[token_file app_role kubernetes]).any?
    use_custodian(EncryptedS3Service::OpenBao.new(address: server.address, **options))
  end

  def use_custodian(custodian, ttl: nil)
    EncryptedS3Service.key_custody_ttl = ttl if ttl
    EncryptedS3Service.key_custodian = custodian
  end

  # @return [String] a reference to the given key, or to a new one
  def reference_to(name, bytes = SecureRandom.bytes(32), server: bao, **options)
    EncryptedS3Service::OpenBao.new(address: server.address, token: OpenBaoServer::ROOT, **options).wrap(bytes,
                                                                                                         key: name)
  end

  # Waits until a key that was unwrapped before this call has expired.
  def wait_for_end_of(ttl) = sleep(ttl + 0.05)
end
