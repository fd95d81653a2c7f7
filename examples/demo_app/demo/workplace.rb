# frozen_string_literal: true

require "aws-sdk-s3"
require "fileutils"
require "securerandom"
require_relative "../../../spec/support/s3_server"

module Demo
  # The resources of the demonstration: an S3 server with a new bucket, an encryption key, and a folder for all files,
  # which is deleted afterwards.
  class Workplace
    # The demonstration cannot run on this machine.
    class Error < StandardError; end

    # The parent of the folders of all runs.
    PARENT = File.expand_path("../../../tmp/demo", __dir__)
    private_constant :PARENT

    # @return [S3Server::Base]
    attr_reader :server

    # @return [String] the bucket's name
    attr_reader :bucket

    # @return [String] the 32 bytes of the encryption key
    attr_reader :key

    # @return [String]
    attr_reader :dir

    # @yieldparam workplace [Workplace]
    # @return [Object] what the block returns
    def self.open
      workplace = new
      yield workplace
    ensure
      # A second Ctrl-C must not interrupt the clean-up.
      %w[INT TERM HUP].each { |name| Signal.trap(name, "IGNORE") }
      workplace&.close
    end

    def initialize
      @key = SecureRandom.bytes(32)
      @bucket = "demo-#{SecureRandom.hex(6)}"
      @dir = File.join(PARENT, "run-#{Process.pid}")
    end

    # Starts the server and creates the bucket.
    # @return [void]
    def prepare
      remove_leftovers
      FileUtils.mkdir_p(@dir)
      @server = S3Server.start
      @server.create_bucket(@bucket)
      # Temporary files of this process and its libraries are deleted with the folder.
      ENV["TMPDIR"] = @dir
    end

    # @return [Hash{String => String}] the facts to print
    def facts
      { "S3 server" => "#{@server.class.name.split("::").last}, #{@server.endpoint}", "Bucket" => "#{@bucket}, new" }
    end

    # @return [Hash{String => String}] environment variables for the application's configuration files
    def environment
      { "S3_ENDPOINT" => @server.endpoint, "S3_REGION" => @server.region, "S3_BUCKET" => @bucket,
        "S3_ACCESS_KEY_ID" => @server.access_key_id, "S3_SECRET_ACCESS_KEY" => @server.secret_access_key,
        "ENCRYPTION_KEY" => "base64:#{[@key].pack("m0")}",
        "DEMO_DATABASE" => path("demo.sqlite3"), "DEMO_LOG" => path("demo.log"), "RAILS_ENV" => "development" }
    end

    # @return [Aws::S3::Client] an ordinary client without encryption
    def aws
      @aws ||= Aws::S3::Client.new(endpoint: @server.endpoint, region: @server.region, force_path_style: true,
                                   access_key_id: @server.access_key_id, secret_access_key: @server.secret_access_key)
    end

    # @param name [String]
    # @return [String]
    def path(name) = File.join(@dir, name)

    # @return [void]
    def close
      empty_bucket if @server.is_a?(S3Server::External)
      @server&.stop
    ensure
      FileUtils.rm_rf(@dir)
    end

    private

    # Removes the folders of runs that were killed.
    def remove_leftovers
      Dir.glob(File.join(PARENT, "run-*")).each do |folder|
        Process.kill(0, Integer(folder[/\d+\z/], 10))
      rescue Errno::ESRCH
        FileUtils.rm_rf(folder)
      rescue SystemCallError
        next
      end
    end

    # A server that the demo did not start would keep the objects.
    def empty_bucket
      @server.list(@bucket).each { |key| @server.delete(@bucket, key) }
      aws.delete_bucket(bucket: @bucket)
    rescue Aws::S3::Errors::NoSuchBucket, S3Server::Error
      nil
    end
  end
end
