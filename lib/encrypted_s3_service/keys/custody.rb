# frozen_string_literal: true

require_relative "../configuration/confidential"
require_relative "../errors"
require_relative "encryption_key"
require_relative "open_bao"
require_relative "secret_bytes"

# Keys that a custodian keeps.
module EncryptedS3Service
  # The keys that this process received from a custodian. A key is requested when it is first needed, kept for {#ttl}
  # seconds and then wiped. The time starts before the request is sent and is measured on a monotonic clock, so a key
  # that was revoked is not used for longer than that.
  #
  # If many threads need a key, one of them requests it and the others wait. A failure is kept for some seconds
  # ({RETRY_AFTER}), so that a failing custodian does not get a request for every file.
  # @api private
  class KeyCustody
    include Confidential

    # Default of `config.encrypted_s3_service.key_custody_ttl` in seconds.
    DEFAULT_TTL = 300

    # Seconds until a key is requested again: after a temporary failure, and after any other one.
    RETRY_AFTER = { true => 5, false => 30 }.freeze

    # A clock that also counts while the machine sleeps.
    CLOCK = Process.const_defined?(:CLOCK_BOOTTIME) ? Process::CLOCK_BOOTTIME : Process::CLOCK_MONOTONIC
    private_constant :CLOCK

    # The result for one reference until `ends_at`: the key or the error. `lock` is locked during a request.
    Entry = Struct.new(:lock, :bytes, :error, :ends_at) do
      include Confidential

      # @return [void]
      def wipe
        SecretBytes.wipe(bytes) if bytes
        self.bytes = self.error = self.ends_at = nil
      end

      private

      def public_attributes = { ends_at: ends_at }
    end
    private_constant :Entry

    # A copy of a key for immediate use. The caller must wipe it.
    # @!attribute bytes [String] 32 bytes
    # @!attribute ends_at [Float] when the key must be forgotten, on {KeyCustody#now}'s clock
    Copy = Struct.new(:bytes, :ends_at) do
      include Confidential

      # @return [void]
      def wipe = SecretBytes.wipe(bytes)

      private

      def public_attributes = { ends_at: ends_at }
    end

    # @param custodian [#call] returns the custodian, or nil
    # @param ttl [#call] returns seconds
    def initialize(custodian:, ttl: -> { DEFAULT_TTL })
      @custodian = custodian
      @ttl = ttl
      @lock = Mutex.new
      @entries = {}
      @changes = Queue.new
      @holders = ObjectSpace::WeakMap.new
      @generation = 0
      @process = Process.pid
    end

    # @return [Integer] changes when all keys are forgotten early, and in a forked child
    def generation
      forget if @process != Process.pid
      @generation
    end

    # @return [Numeric] seconds for which a key is kept
    def ttl = @ttl.call

    # @return [Float] seconds on the clock of this class
    def now = Process.clock_gettime(CLOCK)

    # @param reference [KeyReference]
    # @return [Copy] must be wiped
    # @raise [CustodianError] when the custodian is not available or refuses
    # @raise [KeyDestroyedError] when the key was destroyed
    # @raise [KeyringError] when it returns another key
    # @raise [ConfigurationError] when there is no custodian
    def copy(reference)
      raise ConfigurationError, KeyCustody.missing("The key #{reference.name}") unless @custodian.call

      loop do
        entry = entry_of(reference)
        answer = known(entry) || entry.lock.synchronize { known_or_asked(entry, reference) }
        return answer if answer
      end
    end

    # Wipes all keys of this process at once.
    # @return [void]
    def forget
      @lock.synchronize { start_again }
      release
    end

    # Registers an object with copies of keys. Its `release` is called when keys have expired or are forgotten.
    # @param holder [#release] referenced weakly
    # @return [void]
    def register(holder)
      @lock.synchronize { @holders[holder] = true }
    end

    private

    def public_attributes = { keys: @entries.size }

    # A child process starts without the keys of its parent.
    def entry_of(reference)
      @lock.synchronize do
        start_again if @process != Process.pid
        @entries[reference.text] ||= Entry.new(Mutex.new)
      end
    end

    def start_again
      @entries.each_value(&:wipe)
      @entries = {}
      @generation += 1
      @process = Process.pid
    end

    # @return [Copy, nil] nil when all keys were forgotten meanwhile
    def known_or_asked(entry, reference)
      return unless @lock.synchronize { current?(entry, reference) }

      known(entry) || ask(entry, reference)
    end

    def current?(entry, reference) = @entries[reference.text].equal?(entry)

    # @return [Copy, nil]
    def known(entry)
      @lock.synchronize do
        return if entry.ends_at.nil? || entry.ends_at <= now

        error = entry.error
        raise error.class, error.message, cause: error.cause if error

        Copy.new(SecretBytes.copy(entry.bytes), entry.ends_at)
      end
    end

    def ask(entry, reference)
      asked_at = now
      bytes = unwrap(reference)
      check(bytes, reference)
      ends_at = asked_at + ttl
      keep(entry, reference, ends_at, bytes: SecretBytes.copy(bytes))
      Copy.new(SecretBytes.copy(bytes), ends_at)
    rescue Error => e
      keep(entry, reference, now + [RETRY_AFTER.fetch(e.retryable?), ttl].min, error: e)
      raise
    ensure
      # A custodian of the application may use its String again.
      SecretBytes.wipe(bytes) if bytes.is_a?(String) && @custodian.call.is_a?(OpenBao)
    end

    # A result for an entry that was forgotten meanwhile is not stored.
    def keep(entry, reference, ends_at, bytes: nil, error: nil)
      @lock.synchronize do
        return SecretBytes.wipe(bytes.to_s) unless current?(entry, reference)

        entry.wipe
        entry.bytes = bytes
        entry.error = error
        entry.ends_at = ends_at
        watch
      end
    end

    def unwrap(reference)
      custodian = @custodian.call
      custodian.unwrap(reference.text)
    rescue KeyringError, ConfigurationError => e
      raise e.class, "Cannot use the key #{reference.name}: #{e.message}", cause: e.cause
    rescue StandardError => e
      raise CustodianError, "Cannot use the key #{reference.name}: the key custodian #{custodian.class} failed " \
                            "(#{e.class}). Keys that it returned before are used for at most #{ttl.to_i} seconds; " \
                            "then their files cannot be used until the custodian works again."
    end

    def check(bytes, reference)
      if (problem = problem_with(bytes))
        raise KeyringError, "The key custodian must return #{EncryptionKey::SIZE} bytes for the key " \
                            "#{reference.name}, but it returned #{problem}."
      end
      return if reference.key_id.nil? || reference.key_id == EncryptionKey.id_of(bytes)

      raise KeyringError, "The key custodian returned another key than #{reference.name}: " \
                          "its id is not #{reference.key_id}. Correct the reference."
    end

    def problem_with(bytes)
      return bytes.class unless bytes.is_a?(String)
      return "#{bytes.bytesize} bytes" unless bytes.bytesize == EncryptionKey::SIZE

      "only zeros" if bytes.each_byte.all?(&:zero?)
    end

    # Wipes keys in time even if they are not requested again. The thread ends when there is no key left.
    def watch
      @changes << true
      return if @watch&.alive?

      @watch = Thread.new do
        Thread.current.name = "encrypted_s3_service key custody"
        while (next_end = sweep)
          @changes.pop(timeout: [next_end - now, 0.05].max)
          release
        end
      end
    end

    def release = @lock.synchronize { @holders.keys }.each(&:release)

    # Wipes expired keys.
    # @return [Float, nil] when the next key expires; nil when there is none
    def sweep
      @lock.synchronize do
        over, kept = @entries.partition { |_, entry| entry.ends_at && entry.ends_at <= now && !entry.lock.locked? }
        over.each { |text, entry| @entries.delete(text) && entry.wipe }
        kept.filter_map { |_, entry| entry.ends_at }.min.tap { |next_end| @watch = nil unless next_end }
      end
    end

    class << self
      # @param subject [String] the key or setting
      # @return [String] the message for a missing custodian
      def missing(subject)
        "#{subject} needs a key custodian, but none is configured: set config.encrypted_s3_service.key_custodian " \
          "(without Rails: EncryptedS3Service.key_custodian), or BAO_ADDR in the environment for OpenBao"
      end
    end
  end

  class << self
    # The custodian of keys, for programs without Rails. Rails applications set
    # `config.encrypted_s3_service.key_custodian`. Keys and refusals of the former one are forgotten.
    # @param custodian [#unwrap, nil]
    def key_custodian=(custodian)
      @key_custodian = custodian
      forget_keys
    end

    # @return [#unwrap, nil] the custodian set here, in the application's settings, or for OpenBao in the environment
    def key_custodian
      @key_custodian || (settings.key_custodian if respond_to?(:settings)) || OpenBao.from_environment
    end

    # @return [KeyCustody] the keys that this process has from the custodian
    # @api private
    def key_custody
      @key_custody ||= KeyCustody.new(custodian: -> { key_custodian }, ttl: -> { key_custody_ttl })
    end

    # Seconds for which a key that the custodian unwrapped is kept, for programs without Rails. Rails applications set
    # `config.encrypted_s3_service.key_custody_ttl`.
    # @return [Numeric]
    attr_writer :key_custody_ttl

    # @return [Numeric] seconds
    def key_custody_ttl
      @key_custody_ttl || (settings.key_custody_ttl if respond_to?(:settings)) || KeyCustody::DEFAULT_TTL
    end

    # Wipes all keys that this process received from a custodian, so that their next use requests them again. Other
    # processes keep theirs for up to `key_custody_ttl` seconds.
    # @return [void]
    def forget_keys = key_custody.forget
  end
end
