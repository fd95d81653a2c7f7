# frozen_string_literal: true

module Faults
  # What a task says of a file that it could not process, in place of an error.
  class Told < StandardError; end

  # An operation of the gem, as a trial needs it.
  # @!attribute name [String] as the documents call it
  # @!attribute settings [Hash] of the service, beside those of {World}
  # @!attribute prepare [#call] gets the {World}; stores what has to be there before
  # @!attribute run [#call] gets the {World}; what meets the faults. Returns or raises
  # @!attribute right [#call] gets the {World} and the result of `run`, which is nil after an error; whether everything
  #   is as it has to be after a success
  # @!attribute partly [#call] gets the {World}; whether the state is one that the documents allow after an error,
  #   beside that before and that after a success
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
