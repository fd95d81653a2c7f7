# frozen_string_literal: true

module Faults
  # A task's line about a file that it could not process, in place of an error.
  class Told < StandardError; end

  # An operation of the gem, for a trial.
  # @!attribute name [String] as the documents call it
  # @!attribute settings [Hash] of the service, beside those of {World}
  # @!attribute prepare [#call] gets the {World}; stores the required objects
  # @!attribute run [#call] gets the {World}; runs the operation that meets the faults. Returns or raises
  # @!attribute right [#call] gets the {World} and the result of `run`, which is nil after an error; whether the state
  #   is right for a success
  # @!attribute partly [#call] gets the {World}; whether the state is one that the documents allow after an error,
  #   beside the state before and the state after a success
  # @!attribute expected [#call] gets the {World}; the decrypted bytes that the operation gives out
  # @!attribute spares [Array<String>] calls (`"DeleteObject of file"`) without which the operation succeeds
  Operation = Data.define(:name, :settings, :prepare, :run, :right, :partly, :expected, :spares) do
    def initialize(name:, run:, right:, settings: {}, prepare: ->(_) {}, partly: ->(_) { false },
                   expected: ->(_) { "" }, spares: [])
      super
    end

    def to_s = name
  end
end
