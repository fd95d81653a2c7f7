# frozen_string_literal: true

module Demo
  # Checks that are printed one by one, and remembered.
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

    # @param name [String] what must be so
    # @param problem [String, nil] nil when it is so
    # @return [void]
    def add(name, problem)
      @count += 1
      @failures << "#{@subject}: #{name}: #{problem}" if problem
      @console.check(name, problem)
    end

    # Does something that ends in checks; when it raises, that is what failed.
    # @param name [String]
    # @return [void]
    def attempt(name)
      yield
    rescue StandardError => e
      add(name, "#{e.class}: #{e.message.lines.first&.chomp}")
    end
  end
end
