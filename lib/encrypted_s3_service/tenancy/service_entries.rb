# frozen_string_literal: true

require_relative "../configuration/confidential"
require_relative "../errors"

module EncryptedS3Service
  # The entries of `storage.yml`, examined without building services.
  # @api private
  class ServiceEntries
    include Confidential

    # Kinds of Rails' own services. Their files are not loaded, because they require the clients of cloud providers.
    PLAINTEXT_KINDS = %w[Disk S3 GCS AzureStorage Mirror].freeze
    private_constant :PLAINTEXT_KINDS

    # @param configurations [Hash{Symbol, String => Hash}] entries by name
    def initialize(configurations = Rails.configuration.active_storage.service_configurations)
      @entries = configurations.to_h.deep_symbolize_keys
    end

    # @return [Array<Symbol>]
    def names = @entries.keys

    # @param name [Symbol, String]
    # @return [Hash{Symbol => Object}, nil]
    def [](name) = @entries[name.to_sym]

    # @param name [Symbol, String]
    # @return [Boolean] whether the entry is a mirror (ActiveStorage::Service::MirrorService)
    def mirror?(name) = self[name].is_a?(Hash) && self[name].key?(:primary)

    # @param name [Symbol, String]
    # @return [Array<Symbol>] the entries that store the files: the entry itself or the parts of a mirror
    # @raise [ConfigurationError] when a part does not exist, or the mirror contains itself
    def parts(name, within = [])
      name = name.to_sym
      refuse(": the mirror `#{name}` contains itself.") if within.include?(name)
      refuse(" has no service `#{name}`#{belonging(within)}.") unless self[name]
      return [name] unless mirror?(name)

      self[name].values_at(:primary, :mirrors).flatten.compact.flat_map { |part| parts(part, [*within, name]) }.uniq
    end

    # @param name [Symbol, String]
    # @return [Class, nil] the service's class, as ActiveStorage::Service::Configurator finds it; nil when it is missing
    def service_class(name)
      kind = kind(name)
      require "active_storage/service/#{kind.underscore}_service"
      ActiveStorage::Service.const_get(:"#{kind}Service")
    rescue LoadError, NameError
      nil
    end

    # @param name [Symbol, String]
    # @return [String] value of `service:` in camel case, for example `EncryptedS3`; empty when there is none
    def kind(name) = self[name].is_a?(Hash) ? self[name].fetch(:service, "").to_s.camelize : ""

    # @param name [Symbol, String] an entry that is not a mirror
    # @return [Boolean]
    def encrypts?(name)
      return true if kind(name) == "EncryptedS3"
      return false if PLAINTEXT_KINDS.include?(kind(name))

      # A subclass of this gem's service has loaded the file of its parent.
      return false unless (found = service_class(name)) && defined?(ActiveStorage::Service::EncryptedS3Service)

      found <= ActiveStorage::Service::EncryptedS3Service || false
    end

    private

    def refuse(problem) = raise(ConfigurationError, "#{Engine::StorageFile.path}#{problem}")

    def public_attributes = { services: names }

    def belonging(within) = (", which is a part of the mirror `#{within.last}`" if within.any?)
  end
end
