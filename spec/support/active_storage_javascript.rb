# frozen_string_literal: true

# Serves Active Storage's own JavaScript to the browsers that use the dummy application and the demo, which have no
# asset pipeline. Debian's package of the gem lacks the file; script/install-javascript installs it then.
module ActiveStorageJavascript
  ASSET = "app/assets/javascripts/activestorage.js"
  BROUGHT = File.expand_path("../../tmp/javascript/activestorage-*.js", __dir__)
  private_constant :ASSET, :BROUGHT

  module_function

  # @return [String] where the file is
  # @raise [RuntimeError] when it is nowhere
  def path
    asset = ActiveStorage::Engine.root.join(ASSET).to_s
    return asset if File.exist?(asset)

    Dir.glob(BROUGHT).max || raise("Active Storage's JavaScript is missing; run bin/setup")
  end

  # A Rack application.
  # @return [Array]
  def call(_environment)
    [200, { "content-type" => "text/javascript; charset=utf-8", "cache-control" => "no-cache" }, [File.read(path)]]
  end
end
