# frozen_string_literal: true

module Bench
  # The services to compare. Each is an Active Storage service in its own process, into which no library of the others
  # is loaded.
  module Contenders
    # In the order of the report.
    ALL = { "gem" => "this gem", "reference" => "EncryptionV2 client", "plain" => "S3Service, not encrypted" }.freeze

    # The same key for all. It only encrypts random bytes on a server on this machine.
    KEY = "an encryption key of 32 bytes..."
    # S3Service sends files in parts, ten at once, only from 100 MB on. This is the threshold of this gem.
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
    # @return [Hash{Symbol => Object}] its entry of storage.yml
    def configuration(name, settings)
      return { service: "EncryptedS3", **settings, encryption_key: KEY } if name == "gem"

      { service: "S3", **settings, **PLAIN }
    end

    # @return [void]
    def load_gem
      load_rails
      require "active_storage/service/encrypted_s3_service"
    end

    # Loads all of these extensions, as an application does.
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
