# frozen_string_literal: true

require "json"
require_relative "embedded"

module S3Server
  # SeaweedFS: fast, one process, close to AWS. It does not check +x-amz-content-sha256+.
  class Seaweedfs < Embedded
    # SeaweedFS would read credentials and buckets from them.
    OTHERS_SETTINGS = %w[AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY AWS_SESSION_TOKEN S3_BUCKET S3_EXTERNAL_URL].freeze
    private_constant :OTHERS_SETTINGS

    private

    def launch
      @access_key_id = SecureRandom.hex(10).upcase
      ports = free_ports(8)
      @endpoint = "http://127.0.0.1:#{ports.first}"
      data = File.join(@dir, "data")
      FileUtils.mkdir_p(data)
      File.write(File.join(@dir, "s3.json"), identities, perm: 0o600)
      # SeaweedFS creates these with any TMPDIR, and leaves them when it is killed.
      ports.each do |port|
        %w[master volume filer s3].each do |part|
          leave_behind("/tmp/seaweedfs-#{part}-grpc-#{port}.sock")
        end
      end
      unset = OTHERS_SETTINGS.to_h { |name| [name, nil] }
      run(program("seaweedfs", "weed"), "-logtostderr", "server", *options(data, ports), env: unset)
    end

    def identities
      JSON.generate(identities: [{ name: "test", actions: %w[Admin Read Write List Tagging],
                                   credentials: [{ accessKey: access_key_id, secretKey: secret_access_key }] }])
    end

    def options(data, ports)
      s3, s3_grpc, master, master_grpc, volume, volume_grpc, filer, filer_grpc = ports
      { "ip" => "127.0.0.1", "ip.bind" => "127.0.0.1", "dir" => data,
        "master.port" => master, "master.port.grpc" => master_grpc, "master.telemetry" => false,
        # Every bucket uses up to seven volumes. With too few, writes to the next bucket fail. Volumes grow as needed.
        "master.volumeSizeLimitMB" => 256, "volume.max" => 2000, "volume.preStopSeconds" => 0,
        "volume.port" => volume, "volume.port.grpc" => volume_grpc,
        "filer" => true, "filer.port" => filer, "filer.port.grpc" => filer_grpc,
        "filer.localSocket" => File.join(@dir, "filer.sock"),
        "s3" => true, "s3.port" => s3, "s3.port.grpc" => s3_grpc, "s3.localSocket" => File.join(@dir, "s3.sock"),
        "s3.port.iceberg" => 0, "s3.port.lance" => 0, "s3.config" => File.join(@dir, "s3.json"),
        # As on AWS: a write does not create a bucket, and only an empty bucket can be deleted.
        "s3.autoCreateBucket" => false, "s3.allowDeleteBucketNotEmpty" => false,
        "s3.domainName" => "s3.localhost" }.map { |name, value| "-#{name}=#{value}" }
    end
  end
end
