# frozen_string_literal: true

# The program behind bin/demo: stores files through the demo application and checks their objects in the bucket. With
# --serve, it leaves the application running.

require_relative "demo/console"
require_relative "demo/workplace"

# The demonstration.
module Demo
  # Starts the servers, runs the command, and always cleans up.
  class Command
    # @param serve [Boolean] whether the application is left running
    def initialize(serve:)
      @serve = serve
      @console = Console.new
    end

    # @return [Integer] the exit status
    def run
      endings
      Workplace.open { |workplace| demonstrate(workplace) }
    rescue Interrupt
      @console.interrupt
      130
    rescue S3Server::Error, Workplace::Error => e
      @console.failure(e.message)
      1
    end

    private

    # Ctrl-C already raises Interrupt. Other signals must clean up too.
    def endings = %w[TERM HUP].each { |name| Signal.trap(name) { Thread.main.raise(Interrupt) } }

    def demonstrate(workplace)
      @console.title("EncryptedS3 demo")
      workplace.prepare
      require_relative "demo/application"
      web = Application.boot(workplace, serve: @serve)
      require_relative "demo/show"
      @console.facts(workplace.facts.merge("Application" => "Rails #{Rails.version}, #{web.url}"))
      Show.new(workplace, web, @console).public_send(@serve ? :serve : :prove)
    ensure
      web&.stop
    end
  end
end

exit Demo::Command.new(serve: ARGV.include?("--serve")).run
