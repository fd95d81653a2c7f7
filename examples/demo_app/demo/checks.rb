# frozen_string_literal: true

module Demo
  # Checks that are printed one by one. Failures are collected.
  class Checks
    # @return [Array<String>] what failed, with the reasons
    attr_reader :failures

    # @return [Integer]
    attr_reader :count

    # @param console [Console]
    # @param subject [String] what is checked
    def initialize(console, subject)
      @console = console
      @subject = subject
      @count = 0
      @failures = []
    end

    # @param name [String] the expectation
    # @param problem [String, nil] nil if it is met
    # @return [void]
    def add(name, problem)
      @count += 1
      @failures << "#{@subject}: #{name}: #{problem}" if problem
      @console.check(name, problem)
    end

    # Runs a block that adds checks. If it raises, that is a failed check.
    # @param name [String]
    # @return [void]
    def attempt(name)
      yield
    rescue StandardError => e
      add(name, "#{e.class}: #{e.message.lines.first&.chomp}")
    end
  end
end
