# frozen_string_literal: true

# Serves the JavaScript of Active Storage to browsers that use the dummy application or the demo, which have no asset
# pipeline. Debian's package of the gem does not contain the file; script/install-javascript installs it there.
module ActiveStorageJavascript
  ASSET = "app/assets/javascripts/activestorage.js"
  BROUGHT = File.expand_path("../../tmp/javascript/activestorage-*.js", __dir__)
  private_constant :ASSET, :BROUGHT

  module_function

  # @return [String] path of the file
  # @raise [RuntimeError] if the file is missing
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
