# frozen_string_literal: true

require "tmpdir"
require_relative "../bench/performance"
require_relative "application"
require_relative "visitors"

module Bench
  # One work in a Rails application.
  class RailsPerformance < Performance
    # The number of concurrent requests, and of threads of Puma.
    VISITORS = 4
    THREADS = 5
    private_constant :VISITORS, :THREADS

    # @param (see Performance.service)
    # @return [ActiveStorage::Service]
    def self.service(contender, settings)
      require "encrypted_s3_service" if contender == "gem"
      folder = Dir.mktmpdir("bench-rails-")
      at_exit { FileUtils.rm_rf(folder) } # Not in children: they leave with exit!.
      Application.boot(folder, Contenders.configuration(contender, settings))
    end

    def initialize(*, **)
      super
      @content = File.binread(@path)
    end

    # @return [void]
    def prepare; end

    # @return [void]
    def warm_up
      @blob = with_database { ActiveStorage::Blob.create_and_upload!(io: io, filename: "file.bin") }
      serve if links?
      repeat(0.3)
    end

    # @return [void]
    def clean_up = @visitors&.stop

    private

    def links? = %i[redirected proxied].include?(@work.kind)

    def repeat(seconds) = links? ? @visitors.visit(seconds) : super

    def attach(_number)
      ActiveStorage::Blob.create_and_upload!(io: io, filename: "file.bin", content_type: "application/octet-stream",
                                             identify: false,
                                             service_name: (:bench_sha256 if @work.digest == "sha256"))
    end

    def blob_open(_number) = @blob.open { |file| check(file.size) }

    def io = StringIO.new(@content)

    # The visitors are a separate process. It is forked before this one has loaded Puma, which it does not need.
    def serve
      @visitors = Visitors.new(VISITORS, @work.size)
      require "puma"
      server = Puma::Server.new(Rails.application, nil, min_threads: THREADS, max_threads: THREADS)
      port = server.add_tcp_listener("127.0.0.1", 0).addr[1]
      server.run
      @visitors.begin(port, link)
    end

    # No redirected link of the plain service ends at this application.
    def link
      redirected = @work.kind == :redirected && @service.class.name.include?("Encrypted")
      helper = redirected ? :rails_service_blob_path : :rails_service_blob_proxy_path
      Rails.application.routes.url_helpers.public_send(helper, @blob.signed_id, @blob.filename)
    end

    # Creates the tables of this worker on first use.
    def with_database
      connection = ActiveRecord::Base.connection
      create_tables(connection) unless connection.table_exists?(:active_storage_blobs)
      yield
    end

    def create_tables(connection)
      connection.create_table(:active_storage_blobs) do |table|
        %i[key filename content_type metadata service_name checksum].each { |name| table.string name }
        table.bigint :byte_size
        table.datetime :created_at
      end
      connection.create_table(:active_storage_attachments) do |table|
        table.string :name
        table.references :record, polymorphic: true
        table.references :blob
        table.datetime :created_at
      end
      connection.create_table(:active_storage_variant_records) do |table|
        table.references :blob
        table.string :variation_digest
      end
    end
  end
end
