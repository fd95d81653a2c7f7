# frozen_string_literal: true

require_relative "s3_server/external"
require_relative "s3_server/folder"
require_relative "s3_server/seaweedfs"
require_relative "s3_server/swift"

# A real S3 server for specs, the demo and benchmarks. Standard library only, so that none of them depends on the
# S3 client that another one tests.
#
#   server = S3Server.start
#   server.create_bucket("photos")
#   server.get("photos", "key")   # => [200, { "content-type" => ... }, "the stored bytes"]
#   server.stop
module S3Server
  KINDS = { "seaweedfs" => Seaweedfs, "swift" => Swift, "folder" => Folder }.freeze

  # Starts a server and waits until it accepts its credentials. It is stopped by {Base#stop}, at exit, or when this
  # process is killed.
  #
  # When +S3_ENDPOINT+ is set nothing is started: that server is used, with +S3_ACCESS_KEY_ID+,
  # +S3_SECRET_ACCESS_KEY+ and +S3_REGION+.
  #
  # @param kind [String] "seaweedfs", "swift", or "folder" for a folder in the place of a server
  # @param dir [String, nil] where its data is kept; without it, in a temporary folder removed by #stop. Of data
  #   that was there before, SeaweedFS may answer 500 in the first seconds, until its volumes are known to it again.
  # @return [Base, Folder]
  # @raise [Error] when it is not installed or not ready within a minute; the message ends with its log
  def self.start(kind = ENV.fetch("S3_SERVER", "seaweedfs"), dir: nil)
    return External.new if ENV["S3_ENDPOINT"].to_s != ""

    KINDS.fetch(kind) { raise Error, "no S3 server #{kind.inspect}, only #{KINDS.keys.join(" and ")}" }.new(dir).start
  end
end
