# frozen_string_literal: true

require_relative "../configuration/confidential"
require_relative "../errors"

module EncryptedS3Service
  # The entries of `storage.yml`, and what can be said of them without building a service.
  # @api private
  class ServiceEntries
    include Confidential

    # Kinds of Rails' own, whose files load the clients of clouds.
    PLAINTEXT_KINDS = %w[Disk S3 GCS AzureStorage Mirror].freeze
    private_constant :PLAINTEXT_KINDS

    # @param configurations [Hash{Symbol, String => Hash}] by name, as Active Storage has read them
    def initialize(configurations = Rails.configuration.active_storage.service_configurations)
      @entries = configurations.to_h.deep_symbolize_keys
    end

    # @return [Array<Symbol>]
    def names = @entries.keys

    # @param name [Symbol, String]
    # @return [Hash{Symbol => Object}, nil]
    def [](name) = @entries[name.to_sym]

    # @param name [Symbol, String]
    # @return [Boolean] whether the entry consists of others (ActiveStorage::Service::MirrorService)
    def mirror?(name) = self[name].is_a?(Hash) && self[name].key?(:primary)

    # @param name [Symbol, String]
    # @return [Array<Symbol>] the entries that store the files of this one: itself or, for a mirror, its parts
    # @raise [ConfigurationError] when a part does not exist, or is the mirror itself
    def parts(name, within = [])
      name = name.to_sym
      raise ConfigurationError, "config/storage.yml: the mirror `#{name}` consists of itself" if within.include?(name)
      raise ConfigurationError, "config/storage.yml has no service `#{name}`#{belonging(within)}" unless self[name]
      return [name] unless mirror?(name)

      self[name].values_at(:primary, :mirrors).flatten.compact.flat_map { |part| parts(part, [*within, name]) }.uniq
    end

    # @param name [Symbol, String]
    # @return [Class, nil] of the service, as ActiveStorage::Service::Configurator finds it; nil when there is none
    def service_class(name)
      kind = kind(name)
      require "active_storage/service/#{kind.underscore}_service"
      ActiveStorage::Service.const_get(:"#{kind}Service")
    rescue LoadError, NameError
      nil
    end

    # @param name [Symbol, String]
    # @return [String] what stands behind `service:`, in the form `EncryptedS3`
    def kind(name) = self[name].is_a?(Hash) ? self[name].fetch(:service, "").to_s.camelize : ""

    # @param name [Symbol, String] of no mirror
    # @return [Boolean]
    def encrypts?(name)
      return true if kind(name) == "EncryptedS3"
      return false if PLAINTEXT_KINDS.include?(kind(name))

      # Its file is loaded with the first class that inherits from it.
      return false unless (found = service_class(name)) && defined?(ActiveStorage::Service::EncryptedS3Service)

      found <= ActiveStorage::Service::EncryptedS3Service || false
    end

    private

    def public_attributes = { services: names }

    def belonging(within) = (", of which the mirror `#{within.last}` consists" if within.any?)
  end
end
