# frozen_string_literal: true

module Faults
  # A way in which a store or a network fails.
  # @!attribute name [String] as in the documents
  # @!attribute affects [#call] called with a {Call}; whether the fault can happen to it
  # @!attribute errors [Array<String>] classes of errors that an operation may raise
  # @!attribute passes [Boolean, nil] whether the operation has to succeed: true always, false never, nil if the fault
  #   happens only once
  Fault = Data.define(:name, :affects, :errors, :passes) do
    def initialize(name:, affects: ->(_) { true }, errors: ["TransportError"], passes: nil) = super

    # @param always [Boolean] whether the fault happens every time
    # @return [Boolean] whether an operation has to succeed
    def passes?(always:) = passes.nil? ? !always : passes

    def affects?(call) = affects.call(call)

    def to_s = name
  end

  SENT = ->(call) { call.sent > 1 }
  RECEIVED = ->(call) { call.received > 1 }
  OBJECT_RECEIVED = ->(call) { call.name == "GetObject" && call.received > 1 }
  # Only TLS authenticates a listing.
  CHECKED_RECEIVED = ->(call) { call.received > 1 && call.name != "ListObjectsV2" }
  # An answer to HEAD has no body, so it cannot contain an error.
  BODY_POSSIBLE = ->(call) { call.name != "HeadObject" }
  private_constant :SENT, :RECEIVED, :OBJECT_RECEIVED, :CHECKED_RECEIVED, :BODY_POSSIBLE

  # Possible errors if the received object differs from the stored one.
  DAMAGED = %w[TransportError IntegrityError TamperedError TruncatedError EnvelopeError UnwrapError ChangedError
               StoreError].freeze

  ALL = [
    Fault.new(name: "connection refused"),
    Fault.new(name: "reset before the request"),
    Fault.new(name: "reset in the request", affects: SENT),
    Fault.new(name: "reset after the request"),
    Fault.new(name: "reset in the answer", affects: RECEIVED),
    Fault.new(name: "silence"),
    Fault.new(name: "silence in the answer", affects: RECEIVED),
    Fault.new(name: "500"),
    Fault.new(name: "503 SlowDown"),
    Fault.new(name: "403", errors: ["AccessError"], passes: false),
    Fault.new(name: "expired credentials", errors: ["AccessError"], passes: false),
    Fault.new(name: "body too short", affects: RECEIVED),
    Fault.new(name: "object too short", affects: OBJECT_RECEIVED, errors: DAMAGED, passes: false),
    Fault.new(name: "wrong bytes sent", affects: SENT, errors: %w[TransportError StoreError], passes: false),
    Fault.new(name: "wrong bytes received", affects: CHECKED_RECEIVED, errors: DAMAGED, passes: false),
    Fault.new(name: "wrong ETag", affects: ->(call) { call.tagged }, errors: %w[ChangedError StoreError TransportError],
              passes: false),
    Fault.new(name: "request twice", passes: true),
    Fault.new(name: "answer twice", passes: true),
    Fault.new(name: "200 with an error", affects: BODY_POSSIBLE, errors: %w[TransportError EnvelopeError],
              passes: false)
  ].freeze
end
