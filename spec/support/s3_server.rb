# frozen_string_literal: true

require_relative "s3_server/external"
require_relative "s3_server/folder"
require_relative "s3_server/seaweedfs"
require_relative "s3_server/swift"

# A real S3 server for specs, the demo and benchmarks. Uses only the standard library, so that it does not depend on an
# S3 client that a spec tests.
#
#   server = S3Server.start
#   server.create_bucket("photos")
#   server.get("photos", "key")   # => [200, { "content-type" => ... }, "the stored bytes"]
#   server.stop
module S3Server
  KINDS = { "seaweedfs" => Seaweedfs, "swift" => Swift, "folder" => Folder }.freeze

  # Starts a server and waits until it accepts its credentials. {Base#stop} stops it. It also stops at exit, or when
  # this process is killed.
  #
  # If `S3_ENDPOINT` is set, nothing is started. That server is used, with `S3_ACCESS_KEY_ID`, `S3_SECRET_ACCESS_KEY`
  # and `S3_REGION`.
  #
  # @param kind [String] "seaweedfs", "swift", or "folder" for a folder instead of a server
  # @param dir [String, nil] folder for its data; nil for a temporary folder that {Base#stop} removes. SeaweedFS may
  #   answer 500 for older data in the first seconds, until it has found its volumes.
  # @return [Base, Folder]
  # @raise [Error] if it is not installed or not ready within a minute; the message ends with its log
  def self.start(kind = ENV.fetch("S3_SERVER", "seaweedfs"), dir: nil)
    return External.new if ENV["S3_ENDPOINT"].to_s != ""

    KINDS.fetch(kind) { raise Error, "no S3 server #{kind.inspect}, only #{KINDS.keys.join(" and ")}" }.new(dir).start
  end
end
