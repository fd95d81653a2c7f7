# frozen_string_literal: true

require "capybara/dsl"
require "capybara/rspec/matchers"
require "capybara/rspec/matcher_proxies"
require "selenium-webdriver"
require "tmpdir"
require "fileutils"

# Headless Chromium, for groups with `browser: true`. These use the DSL of Capybara.
module Browser
  # Chromium with the options to run as root in a container and to talk only with our servers.
  ARGUMENTS = %w[--headless=new --disable-gpu --disable-quic --no-first-run --disable-background-networking
                 --disable-component-update --disable-sync --disable-dev-shm-usage --hide-scrollbars
                 --autoplay-policy=no-user-gesture-required].freeze
  # Seconds in which a page must show the expected result.
  PATIENCE = 20

  # While a page is being left, Chromium may answer with an unknown error; Capybara must retry then.
  class Driver < Capybara::Selenium::Driver
    def invalid_element_errors = super + [Selenium::WebDriver::Error::UnknownError]
  end

  module_function

  # @return [String, nil] path of the first of these programs that is installed
  def program(*names)
    names.product(ENV.fetch("PATH", "").split(File::PATH_SEPARATOR)).map { |name, folder| File.join(folder, name) }
         .find { |path| File.executable?(path) }
  end

  def chromium = program("chromium", "chromium-browser", "google-chrome")

  def chromedriver = program("chromedriver")

  # Without a browser the examples are skipped. In continuous integration a missing browser is an error.
  # @return [String, nil] why an example is skipped
  def missing
    return if chromium && chromedriver

    message = "needs Chromium and chromedriver in the PATH"
    ENV["CI"].to_s.empty? ? message : raise("This run #{message}, because CI is set.")
  end

  # @return [Driver]
  def driver(app) = Driver.new(app, browser: :chrome, options: options, service: service)

  def options
    arguments = [*ARGUMENTS, "--user-data-dir=#{profile}", *("--no-sandbox" if Process.uid.zero?)]
    Selenium::WebDriver::Options.chrome(binary: chromium, args: arguments,
                                        "goog:loggingPrefs": { browser: "ALL" })
  end

  def service = Selenium::WebDriver::Service.chrome(path: chromedriver)

  # @return [String] a new folder that is deleted at the end of the run
  def profile
    Dir.mktmpdir("chromium").tap do |folder|
      at_exit { FileUtils.rm_rf(folder) }
    end
  end

  # Waits for a result that Capybara's matchers cannot check.
  # @return [Object] the first result of the block that is neither nil nor false
  def wait_for(what, seconds = PATIENCE)
    deadline = Process.clock_gettime(Process::CLOCK_MONOTONIC) + seconds
    loop do
      result = yield
      return result if result
      raise "#{what} did not come within #{seconds} s" if Process.clock_gettime(Process::CLOCK_MONOTONIC) > deadline

      sleep 0.05
    end
  end

  # Methods for the specs.
  module Helpers
    def wait_for(...) = Browser.wait_for(...)

    # @return [Array<String>] errors and warnings in the browser's console since the last call: script errors, failed
    #   requests, and violations of a content security policy. A missing favicon is ignored
    def complaints
      entries = page.driver.browser.logs.get(:browser).select { |entry| %w[SEVERE WARNING].include?(entry.level) }
      entries.map(&:message).grep_v(%r{/favicon\.ico - })
    end

    # @return [Object] the argument that the script passes to `done`
    def evaluate_async(script, *arguments)
      page.evaluate_async_script("const done = arguments[arguments.length - 1]; #{script}", *arguments)
    end

    # Fetches a file with a script in the page.
    # @return [Hash] "status", "type", "size" and "sha256" (hexadecimal) of it
    def fetched(path)
      evaluate_async(<<~'JAVASCRIPT', path)
        fetch(arguments[0]).then(async (answer) => {
          const data = await answer.arrayBuffer()
          const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", data))
          const sha256 = Array.from(digest, (byte) => byte.toString(16).padStart(2, "0")).join("")
          done({ status: answer.status, type: answer.headers.get("content-type"), size: data.byteLength, sha256 })
        }, (error) => done({ error: String(error) }))
      JAVASCRIPT
    end

    # Sends a command of the Chrome DevTools Protocol.
    def chromium(command, **parameters) = page.driver.browser.execute_cdp(command, **parameters)
  end
end

Capybara.register_driver(:chromium) { |app| Browser.driver(app) }
Capybara.default_driver = :chromium
Capybara.server = :puma, { Silent: true, Threads: "0:8" }
Capybara.default_max_wait_time = Browser::PATIENCE
Capybara.enable_aria_label = true

RSpec.configure do |config|
  config.include Capybara::DSL, browser: true
  config.include Capybara::RSpecMatchers, browser: true
  # Both have a method `all`.
  config.include Capybara::RSpecMatcherProxies, browser: true
  config.include Browser::Helpers, browser: true

  config.before(:each, browser: true) do
    missing = Browser.missing
    skip(missing) if missing
    # Discards the messages of a failed example before this one.
    complaints
  end
  config.after(:each, browser: true) { Capybara.reset_sessions! unless Browser.missing }
end
