# frozen_string_literal: true

require "encrypted_s3_service"

module EncryptedS3Service
  # Tests the services of a `storage.yml` against their stores and reports problems with advice: settings, key,
  # endpoint, clock, bucket, permissions, checksums, round trips, rotation, versions. Its test objects are stored under
  # `encrypted_s3_service-doctor/` and deleted at the end. It shows no key, credential or signed URL.
  class Doctor
    # These files reopen the class. Required outside of it, they would trigger its autoload.
    require_relative "doctor/examination"
    require_relative "doctor/report"

    include Confidential

    autoload :Application, "encrypted_s3_service/doctor/application"

    # @return [Hash] the entries of the application's `storage.yml`. No service is built, because a wrong setting would
    #   raise
    # @raise [ConfigurationError] when the application has no Active Storage, or the file is missing or empty
    def self.rails_configurations
      Engine.require_active_storage
      entries = Engine::StorageFile.entries
      raise ConfigurationError, "There is no #{Engine::StorageFile.path}, or it is empty." if entries.empty?

      entries
    end

    # @return [Proc] finds services that are not EncryptedS3 entries of `storage.yml`: services of tenants and of a
    #   resolver, and mirrors
    def self.rails_services
      # The registry raises without a block.
      ->(name) { ActiveStorage::Blob.services.fetch(name) { |_missing| nil } }
    end

    # @param configurations [Hash{String, Symbol => Hash}] the entries of a `storage.yml`
    # @param services [#call, nil] receives the name of a service that is not an EncryptedS3 entry, and returns an
    #   Active Storage service or nil
    # @param output [IO] receives the report, coloured on a terminal
    def initialize(configurations, services: nil, output: $stdout)
      @entries = configurations.to_h { |name, entry| [name.to_s, symbolize(entry || {})] }
      @services = services
      @report = Report.new(output)
    end

    # @param only [String, nil] the name of one service, which can be a tenant's; nil tests all EncryptedS3 entries
    # @param application [Boolean] whether to check the settings of the Rails application as well
    # @return [Boolean] whether nothing failed
    # @raise [ConfigurationError] when the service does not exist
    def run(only = nil, application: false)
      services = select(only)
      examine_application if application
      services.each { |name, entry| examine(name, entry.except(:service)) }
      @report.finish
      @report.failures.zero?
    end

    private

    def public_attributes = { services: @entries.keys }

    def examine(name, options)
      service = ExaminedService.new(name, options)
      @report.service(name, options[:root] ? "folder #{options[:root]}" : "bucket #{options[:bucket] || "(none)"}")
      Examination.new(service).each { |finding| @report.add(finding) }
    end

    def examine_application
      @report.application
      Application.new.each { |finding| @report.add(finding) }
    end

    def select(only)
      ours = @entries.select { |_, entry| ours?(entry) }
      return parts_of(only, ours) if only && !ours.key?(only)

      if ours.empty?
        raise ConfigurationError, "There is no entry with `service: EncryptedS3` in storage.yml. Add one with " \
                                  "`bin/rails generate encrypted_s3_service:install`."
      end
      only ? ours.slice(only) : ours
    end

    # @return [Hash{String => Hash}] the settings of a service that is not an entry, or of the parts of a mirror
    def parts_of(name, ours)
      service = @services&.call(name)
      parts = service ? ServiceParts.new(service).encrypted : []
      return parts.to_h { |part| [part.name.to_s, options_of(part)] } if parts.any?

      raise ConfigurationError, "There is no EncryptedS3 service #{name.inspect}. storage.yml has " \
                                "#{ours.empty? ? "none" : ours.keys.join(", ")}."
    end

    def options_of(service)
      client = service.client
      return client.configuration.options unless client.is_a?(KeylessClient)

      raise ConfigurationError, "The key of the service #{service.name} is destroyed. Its files can be deleted, " \
                                "but neither read nor written."
    end

    # Active Storage camelizes the value.
    def ours?(entry) = entry[:service].to_s.delete("_").casecmp?("EncryptedS3")

    def symbolize(value)
      value.is_a?(Hash) ? value.to_h { |name, inner| [name.to_sym, symbolize(inner)] } : value
    end
  end
end
