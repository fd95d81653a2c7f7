# frozen_string_literal: true

require "etc"
require_relative "embedded"

module S3Server
  # OpenStack Swift's S3 API: slow, but the strictest about signatures, digests and checksums. Its data folder must be
  # on a file system with user extended attributes.
  class Swift < Embedded
    PIPELINE = "catch_errors gatekeeper cache listing_formats bulk s3api tempauth copy slo versioned_writes symlink " \
               "proxy-server"
    STORES = %w[account container object].freeze
    FILTERS = %w[catch_errors gatekeeper listing_formats bulk copy slo symlink].freeze

    # One ring with one device for each kind of store, in one process. Swift's command would take nine.
    RINGS = <<~PYTHON
      import sys
      from swift.common.ring import RingBuilder
      for name, port in zip(sys.argv[1::2], sys.argv[2::2]):
          builder = RingBuilder(2, 1, 1)
          builder.add_dev(dict(region=1, zone=1, ip='127.0.0.1', port=int(port), device='d1', weight=1,
                               replication_ip='127.0.0.1', replication_port=int(port)))
          builder.rebalance()
          builder.get_ring().save(name + '.ring.gz')
    PYTHON

    # Swift logs only to syslog; this adds a file. It also raises the limit for one metadata entry to the 2 KB that S3
    # allows for all entries: a data key wrapped with an RSA key needs more than 256 bytes, and Swift reads that setting
    # only from /etc/swift.
    LOG_MODULE = <<~PYTHON
      import logging
      from swift.common import constraints
      constraints.MAX_META_VALUE_LENGTH = 2048
      def to_file(conf, name, log_to_console, log_route, fmt, logger, adapted_logger):
          handler = logging.FileHandler(conf['log_file'])
          handler.setFormatter(logging.Formatter(fmt))
          logger.addHandler(handler)
    PYTHON
    private_constant :STORES, :FILTERS, :RINGS, :LOG_MODULE

    private

    def launch
      user = SecureRandom.hex(8)
      @access_key_id = "test:#{user}"
      proxy, *stores = free_ports(4)
      @endpoint = "http://127.0.0.1:#{proxy}"
      FileUtils.mkdir_p(File.join(@dir, "devices", "d1"))
      write("swift.conf", "swift-hash" => { swift_hash_path_prefix: "a", swift_hash_path_suffix: "b" },
                          "storage-policy:0" => { name: "p0", default: "yes" })
      File.write(File.join(@dir, "s3_server_log.py"), LOG_MODULE)
      STORES.zip(stores) { |name, port| write("#{name}.conf", store(name, port)) }
      write("proxy.conf", gateway(proxy, user))
      build_rings(STORES.zip(stores))
      (STORES + %w[proxy]).each do |name|
        run(program("swift", "swift-#{name}-server"), File.join(@dir, "#{name}.conf"), env:)
      end
    end

    def env = { "SWIFT_CONF_FILE" => File.join(@dir, "swift.conf"), "PYTHONPATH" => @dir }

    def build_rings(stores)
      run(program("swift", "python"), "-c", RINGS, *stores.flatten.map(&:to_s), env:)
      built = @processes.pop.value
      give_up("building Swift's rings failed") unless built.success?
    end

    def write(name, sections)
      text = sections.map do |section, settings|
        "[#{section}]\n#{settings.map do |key, value|
                           "#{key}=#{value}\n"
                         end.join}"
      end.join
      File.write(File.join(@dir, name), text, perm: 0o600)
    end

    def common(port)
      { bind_ip: "127.0.0.1", bind_port: port, bind_timeout: 1, user: Etc.getpwuid.name, swift_dir: @dir, workers: 0,
        log_address: File.join(@dir, "no-syslog"), log_level: "WARNING", log_file: @log,
        log_custom_handlers: "s3_server_log.to_file" }
    end

    def store(name, port)
      { "DEFAULT" => common(port).merge(devices: File.join(@dir, "devices"), mount_check: false, fallocate_reserve: 0),
        "pipeline:main" => { pipeline: "#{name}-server" }, "app:#{name}-server" => { use: "egg:swift##{name}" } }
    end

    def gateway(port, user)
      { "DEFAULT" => common(port),
        "pipeline:main" => { pipeline: PIPELINE },
        "app:proxy-server" => { use: "egg:swift#proxy", account_autocreate: true },
        "filter:tempauth" => { use: "egg:swift#tempauth", "user_test_#{user}": "#{secret_access_key} .admin" },
        "filter:s3api" => { use: "egg:swift#s3api", location: region, storage_domain: "s3.localhost" },
        # There is no memcached. Port 9 refuses connections at once, and Swift continues without a cache.
        "filter:cache" => { use: "egg:swift#memcache", memcache_servers: "127.0.0.1:9",
                            error_suppression_limit: 1_000_000_000 },
        "filter:versioned_writes" => { use: "egg:swift#versioned_writes", allow_object_versioning: true } }
        .merge(FILTERS.to_h { |name| ["filter:#{name}", { use: "egg:swift##{name}" }] })
    end
  end
end
