# frozen_string_literal: true

require_relative "leaks"
require_relative "world"

module Faults
  # One run of an operation with one fault at one of its S3 calls.
  class Trial
    # The result of a trial.
    # @!attribute outcome [String] `"done"` or the class of the error
    # @!attribute residue [Integer] number of unfinished multipart uploads
    # @!attribute met [Boolean] whether the fault happened
    # @!attribute problems [Array<String>] violations of the promises
    Result = Data.define(:operation, :call, :fault, :always, :outcome, :seconds, :residue, :met,
                         :problems) do
      def to_s
        "#{operation}, #{call}, #{fault} #{always ? "every time" : "once"}: #{outcome} after #{seconds.round(1)} s" \
          "#{problems.map { |problem| "\n    #{problem}" }.join}"
      end
    end

    # Limit in seconds for an operation: the one in docs/operations.md for the default settings, and some more for a
    # busy machine.
    LONGEST = 60
    # Limit in seconds for background work, such as an abort or the closing of idle connections.
    BACKGROUND = 20
    SECRETS = [TestStore::KEY, World::LATER[:encryption_key], [TestStore::KEY].pack("m0"), TestStore::KEY.unpack1("H*"),
               "X-Amz-", "Signature", "AWS4-HMAC"].freeze
    private_constant :LONGEST, :BACKGROUND, :SECRETS

    # The calls that an operation always makes when there are no faults.
    # @param operation [Operation]
    # @return [Array<Call>]
    # @raise [RuntimeError] if the operation does not succeed
    def self.calls_of(operation)
      others = record(operation).map(&:to_s)
      record(operation).select { |call| others.include?(call.to_s) }
    end

    # @api private
    def self.record(operation)
      # With a longer timeout, because a retry on a slow machine is not a call of the operation.
      World.open({ **operation.settings, http_read_timeout: 30 }) do |world|
        operation.prepare.call(world)
        world.store.arm(nil, nil, always: false)
        result = operation.run.call(world)
        raise "#{operation} fails without any fault" unless operation.right.call(world, result)

        world.store.calls.dup
      end
    end

    def initialize(operation, call, fault, always)
      @operation = operation
      @call = call
      @fault = fault
      @always = always
    end

    def to_s = "#{@operation}, #{@call}, #{@fault} #{@always ? "every time" : "once"}"

    # @return [Boolean] whether it takes seconds
    def long? = @always && @fault.name.start_with?("silence")

    # @return [Result]
    def result
      @problems = []
      World.open(@operation.settings) do |world|
        @world = world
        Leaks.trials[URI(world.store.endpoint).port] = to_s
        @operation.prepare.call(world)
        before = world.snapshot
        world.store.arm(@fault, @call, always: @always)
        error, value, seconds = timed
        judge(error, value, before, seconds)
        Result.new(operation: @operation, call: @call, fault: @fault, always: @always, outcome: outcome_of(error),
                   seconds: seconds, residue: world.unfinished_uploads.size, met: world.store.happened.positive?,
                   problems: @problems)
      end
    ensure
      # Releases the memory of the files.
      @world = nil
    end

    private

    def timed
      started = now
      value = @operation.run.call(@world)
      [nil, value, now - started]
    rescue StandardError => e
      [e, nil, now - started]
    end

    def judge(error, value, before, seconds)
      problem("it took #{seconds.round(1)} s") if seconds > LONGEST
      judge_outcome(outcome_of(error), error)
      judge_message(error) if error
      judge_bytes(error)
      judge_bucket(error, value, before)
      judge_leaks
    end

    # An answer to HEAD has no body with the error code.
    def expired_head? = @fault.name == "expired credentials" && @call.name == "HeadObject"

    def judge_outcome(outcome, error)
      allowed = @fault.passes?(always: @always) ? [] : @fault.errors
      allowed += ["StoreError"] if expired_head?
      allowed = ["done"] if @operation.spares.include?(@call.to_s[/\A.*(?= \()/])
      return if outcome == "done" || allowed.include?(outcome)

      problem("it ended with #{error.class}: #{error.message.lines.first}")
    end

    # @return [String]
    def outcome_of(error)
      case error
      when nil then "done"
      when TaskFailure then error.message[/\A(?:EncryptedS3Service|ActiveStorage)::(\w+)/, 1] || error.message
      when EncryptedS3Service::Error then error.class.name.split("::").last
      when ->(other) { other.class.name.start_with?("ActiveStorage::") && other.cause } then outcome_of(error.cause)
      else error.class.name
      end
    end

    def judge_message(error)
      texts = [error.message, error.full_message(highlight: false), error.cause&.message].join.b
      problem("the message does not name the object: #{error.message}") unless names_object?(error)
      secrets = SECRETS + [TestStore.server.secret_access_key]
      problem("the message shows a secret: #{error.message}") if secrets.any? { |secret| texts.include?(secret.b) }
    end

    # A migration first stores a test object, to find out whether the services share a bucket.
    def names_object?(error) = error.message.include?(@world.folder) || error.message.include?("migration-probe-")

    # After an error, the returned bytes must be the beginning of the expected ones.
    def judge_bytes(error)
      return if @world.seen.empty? || error.nil?

      whole = @operation.expected.call(@world)
      problem("#{@world.seen.bytesize} wrong bytes were returned") unless whole&.start_with?(@world.seen)
    end

    def judge_bucket(error, value, before)
      right = -> { @operation.right.call(@world, value || {}) }
      if error.nil?
        problem("it reported success, but it did not succeed") unless right.call
      else
        same = -> { @world.snapshot == before }
        problem("the bucket is neither as before nor as after a success") unless same.call || right.call || partly?
      end
      left = waited { @world.orphaned_parts }
      problem("#{left} parts are orphaned") if left.positive? && !away?
    end

    # Whether the request to abort the upload cannot reach the store.
    def away? = @always && (@fault.name == "connection refused" || @call.name == "AbortMultipartUpload")

    def partly? = @operation.partly.call(@world)

    def judge_leaks
      left = waited { @world.store.open_connections }
      problem("#{left} connections are open") if left.positive?
    end

    # @return [Integer] zero as soon as the block returns it, else the last number
    def waited
      deadline = now + BACKGROUND
      loop do
        number = yield
        return number if number.zero? || now > deadline

        sleep 0.05
      end
    end

    def problem(text) = @problems.push(text)

    def now = Process.clock_gettime(Process::CLOCK_MONOTONIC)
  end
end
