# frozen_string_literal: true

require "encrypted_s3_service"
require_relative "doctor/examination"
require_relative "doctor/report"

module EncryptedS3Service
  # Tries out the services of a `storage.yml` against their stores and says of each thing whether it is well or what to
  # do: settings, key, endpoint, clock, bucket, permissions, checksums, round trips. What it stores lies under
  # `encrypted_s3_service-doctor/` and is removed again. It shows no key, no credential and no signed URL.
  class Doctor
    # @return [Hash] what Active Storage has for `storage.yml`, read in the same way (ActiveStorage::Engine, initializer
    #   `active_storage.services`) but without building a service, which a wrong setting would prevent
    # @raise [ConfigurationError] when there is no such file
    def self.rails_configurations
      configured = ::Rails.configuration.active_storage.service_configurations
      return configured if configured

      files = ["config/storage/#{::Rails.env}.yml", "config/storage.yml"].map { |name| ::Rails.root.join(name) }
      file = files.find(&:exist?)
      raise ConfigurationError, "There is no config/storage.yml." unless file

      ActiveSupport::ConfigurationFile.parse(file)
    end

    # @param configurations [Hash{String, Symbol => Hash}] the entries of a `storage.yml`
    # @param output [IO] lines go here; colours too when it is a terminal
    def initialize(configurations, output: $stdout)
      @entries = configurations.to_h { |name, entry| [name.to_s, symbolize(entry || {})] }
      @report = Report.new(output)
    end

    # @param only [String, nil] the name of one service; nil examines all that are EncryptedS3
    # @return [Boolean] whether nothing failed
    # @raise [ConfigurationError] when there is no such service
    def run(only = nil)
      services = select(only)
      services.each { |name, entry| examine(name, entry.except(:service)) }
      @report.finish
      @report.failures.zero?
    end

    private

    def examine(name, options)
      service = ExaminedService.new(name, options)
      @report.service(name, options[:bucket])
      Examination.new(service).each { |finding| @report.add(finding) }
    end

    def select(only)
      ours = @entries.select { |_, entry| ours?(entry) }
      if ours.empty?
        raise ConfigurationError, "There is no entry with `service: EncryptedS3` in config/storage.yml. Add one by " \
                                  "`bin/rails generate encrypted_s3_service:install`."
      end
      return ours unless only
      return ours.slice(only) if ours.key?(only)

      raise ConfigurationError, "config/storage.yml has no EncryptedS3 service #{only.inspect}, only " \
                                "#{ours.keys.join(", ")}."
    end

    # Active Storage camelizes what is written there.
    def ours?(entry) = entry[:service].to_s.delete("_").casecmp?("EncryptedS3")

    def symbolize(value)
      value.is_a?(Hash) ? value.to_h { |name, inner| [name.to_sym, symbolize(inner)] } : value
    end
  end
end
