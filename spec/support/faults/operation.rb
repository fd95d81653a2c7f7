# frozen_string_literal: true

module Faults
  # A failure that a task reports for a file instead of raising it.
  class TaskFailure < StandardError; end

  # An operation of the gem, for a trial.
  # @!attribute name [String] as in the documents
  # @!attribute settings [Hash] of the service, in addition to those of {World}
  # @!attribute prepare [#call] called with the {World}; stores the required objects
  # @!attribute run [#call] called with the {World}; runs the operation. Returns a Hash or raises
  # @!attribute right [#call] called with the {World} and the result of `run` ({} after an error); whether the state is
  #   that of a success
  # @!attribute partly [#call] called with the {World}; whether the documents allow the state after an error, in
  #   addition to the states before the operation and after a success
  # @!attribute expected [#call] called with the {World}; the decrypted bytes that the operation returns
  # @!attribute spares [Array<String>] calls (`"DeleteObject of file"`) whose failure does not make the operation fail
  Operation = Data.define(:name, :settings, :prepare, :run, :right, :partly, :expected, :spares) do
    def initialize(name:, run:, right:, settings: {}, prepare: ->(_) {}, partly: ->(_) { false },
                   expected: ->(_) { "" }, spares: [])
      super
    end

    def to_s = name
  end
end
