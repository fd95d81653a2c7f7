# frozen_string_literal: true

module Bench
  # The services to compare. Each is an Active Storage service; nothing else of its libraries is loaded into its
  # process.
  module Contenders
    # In the order of the report.
    ALL = { "gem" => "this gem", "reference" => "EncryptionV2 client", "plain" => "S3Service, not encrypted" }.freeze

    # The same for everyone; it encrypts random bytes in a server of this machine.
    KEY = "an encryption key of 32 bytes..."
    # S3Service sends files in parts, ten at once, only from 100 MB on. This gem does it from here on.
    PLAIN = { upload: { multipart_threshold: 16 << 20 } }.freeze
    private_constant :KEY, :PLAIN

    module_function

    # @param name [String] a key of ALL
    # @param settings [Hash{Symbol => Object}] an entry of storage.yml without service and key
    # @return [ActiveStorage::Service]
    def build(name, settings)
      load_rails
      public_send(name, settings)
    end

    # @param name [String] "gem" or "plain"
    # @param settings [Hash{Symbol => Object}] as for {build}
    # @return [Hash{Symbol => Object}] the entry of storage.yml for it
    def configuration(name, settings)
      return { service: "EncryptedS3", **settings, encryption_key: KEY } if name == "gem"

      { service: "S3", **settings, **PLAIN }
    end

    # @return [void]
    def load_gem
      load_rails
      require "active_storage/service/encrypted_s3_service"
    end

    # As in an application, which has loaded all of these extensions.
    # @return [void]
    def load_rails
      require "active_support/all"
      require "active_storage"
    end

    # @api private
    def gem(settings)
      load_gem
      ActiveStorage::Service::EncryptedS3Service.new(**settings, encryption_key: KEY)
    end

    # @api private
    def reference(settings)
      require_relative "contenders/reference"
      ActiveStorage::Service::ReferenceService.new(**settings, encryption_key: KEY)
    end

    # @api private
    def plain(settings)
      require "active_storage/service/s3_service"
      ActiveStorage::Service::S3Service.new(**settings, **PLAIN)
    end
  end
end
