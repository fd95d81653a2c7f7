# frozen_string_literal: true

require_relative "../configuration/confidential"
require_relative "../errors"
require_relative "../keys/source"
require_relative "public_endpoint"
require_relative "service_entries"

module EncryptedS3Service
  # An entry from a resolver instead of `storage.yml`. Its values probably come from a tenant's users, so it must not
  # make this server read its own files or connect to its own network:
  #
  # - settings that name a file, a profile or a proxy of the server are refused, as are keys in files (`file:`),
  # - the endpoint must be a public address, see {PublicEndpoint},
  # - bucket and region must be plain names, because they become part of the store's address,
  # - the service must be of a kind that stores nothing on this server.
  #
  # `config.encrypted_s3_service.trusted_resolver = true` disables these checks.
  # @api private
  class ResolvedEntry
    include Confidential

    # Kinds of services (`service:`) that do not access files of the server.
    KINDS = %w[EncryptedS3 S3 Mirror].freeze
    # Settings that name files, sections of files or hosts of the server.
    SERVER_SETTINGS = %i[
      root ssl_ca_bundle ssl_ca_directory ssl_ca_store profile http_proxy credentials instance_profile_endpoint
    ].freeze
    # A region, which is part of the host name in Amazon's URLs.
    REGION = /\A[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\z/i
    # The name of a bucket, or the ARN of an access point.
    BUCKET = %r{\A([a-z0-9][a-z0-9._-]{0,253}|arn:[a-z-]+:s3[a-z0-9-]*:[a-z0-9-]*:\d*:[\w/:.-]+)\z}i
    # A key in a file (`file:`) or another source.
    KEY_SOURCE = /\A(?!base64:)[a-z][a-z0-9+.-]{1,20}:/i

    class << self
      # @param name [String] the service's name, for the message
      # @param key [Object, nil] a value of `encryption_key`
      # @return [void]
      # @raise [ConfigurationError] when the key is in a file or another place of the server
      def check_key(name, key, setting = "encryption_key")
        return if trusted? || !elsewhere?(key)

        raise ConfigurationError, "The key of the service `#{name}` must be given directly: #{setting} names a file " \
                                  "or another source, which only config/storage.yml may do. #{advice}"
      end

      # @return [Boolean] whether the application trusts its resolver
      def trusted? = EncryptedS3Service.settings.trusted_resolver

      # @return [String] advice for messages
      def advice
        "If only you can change the resolver's data, set config.encrypted_s3_service.trusted_resolver to true."
      end

      private

      # A PEM begins with a dash, and a raw key has 32 bytes.
      def elsewhere?(key)
        return true if key.respond_to?(:to_path)
        return false if KmsKey.given?(key) || !key.is_a?(String)

        text = key.b.lstrip
        text.start_with?(KeySource::PREFIX) || (key.bytesize != 32 && text.match?(KEY_SOURCE))
      end
    end

    # @param name [Symbol] the service's name
    # @param settings [#to_h] the resolver's result
    # @raise [ConfigurationError] when it is not an entry, or is allowed only in `storage.yml`
    def initialize(name, settings)
      @name = name
      @entry = settings.respond_to?(:to_h) ? settings.to_h.deep_symbolize_keys : {}
      unless @entry.key?(:service)
        raise ConfigurationError, "The resolver must return a Hash with `service:` for #{name.inspect}, as an entry " \
                                  "of config/storage.yml, not a #{settings.class}."
      end

      check unless self.class.trusted?
    end

    # @return [ActiveStorage::Service]
    # @raise [ConfigurationError]
    def service
      # With the entries of storage.yml, which a mirror can name.
      others = Rails.configuration.active_storage.service_configurations.to_h.symbolize_keys
      configurations = { **others, @name => @entry }
      # Raises for missing parts and for a mirror that contains itself.
      ServiceEntries.new(configurations).parts(@name)
      ActiveStorage::Service.configure(@name, configurations)
    end

    private

    def public_attributes = { name: @name }

    def check
      kind = @entry[:service].to_s.camelize
      refuse "service: #{kind} can store files on this server" unless KINDS.include?(kind)

      check_settings(@entry, nil)
      check_name(:region, REGION)
      check_name(:kms_region, REGION)
      check_name(:bucket, BUCKET)
      check_keys
      check_kms
      check_endpoint if @entry[:endpoint].present?
    end

    # With the server's credentials a tenant could use the KMS keys of others.
    def check_kms
      if uses_kms? && blank?(@entry[:access_key_id])
        refuse "keys in AWS KMS need access_key_id and secret_access_key in the same entry"
      end
      return if blank?(@entry[:kms_endpoint])

      problem = PublicEndpoint.new(@entry[:kms_endpoint].to_s).problem
      refuse_endpoint("kms_endpoint #{problem}") if problem
    end

    def uses_kms?
      keys = @entry[:decryption_keys]
      keys = keys.values if keys.is_a?(Hash)
      return true if [@entry[:encryption_key], *keys].any? { |key| KmsKey.given?(key) }

      !blank?(@entry[:kms_key_id]) || @entry[:kms_allow_decrypt_with_any_cmk].to_s == "true"
    end

    # Refuses paths in any setting, and settings that refer to this server.
    def check_settings(settings, within)
      settings.each do |name, value|
        setting = [within, name].compact.join(".")
        refuse "#{setting} is a setting of this server" if SERVER_SETTINGS.include?(name.to_sym) && !blank?(value)

        path = value.respond_to?(:to_path) || (value.is_a?(String) && value.b.lstrip.start_with?(KeySource::PREFIX))
        refuse "#{setting} names a file of this server" if path
        check_settings(value, setting) if value.is_a?(Hash)
        check_settings(value.each_with_index.to_h { |element, at| [at.to_s, element] }, setting) if value.is_a?(Array)
      end
    end

    def check_name(setting, form)
      value = @entry[setting]
      refuse "#{setting} is not a plain name" unless blank?(value) || value.to_s.match?(form)
    end

    def check_keys
      self.class.check_key(@name, @entry[:encryption_key])
      keys = @entry[:decryption_keys]
      keys = keys.values if keys.is_a?(Hash)
      Array(keys).each do |key|
        self.class.check_key(@name, key.is_a?(Hash) ? key[:key] : key, "decryption_keys")
      end
    end

    # A bucket in the host name is checked as well: the owner of the domain decides where that name leads.
    def check_endpoint
      inside = @entry[:bucket] unless @entry[:force_path_style].to_s == "true"
      problem = PublicEndpoint.new(@entry[:endpoint].to_s, bucket: inside).problem
      refuse_endpoint("endpoint #{problem}") if problem
    end

    def refuse_endpoint(problem)
      refuse problem, "Add endpoints of your own network to " \
                      "config.encrypted_s3_service.trusted_resolver_endpoints."
    end

    def blank?(value) = value.nil? || value == ""

    def refuse(problem, advice = self.class.advice)
      raise ConfigurationError, "The resolver's entry for the service `#{@name}` is refused: #{problem}. #{advice}"
    end
  end
end
