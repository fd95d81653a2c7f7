# frozen_string_literal: true

require_relative "../configuration/confidential"
require_relative "../errors"
require_relative "../keys/source"
require_relative "public_endpoint"
require_relative "service_entries"

module EncryptedS3Service
  # An entry that did not come from `storage.yml` but from a resolver, and so, most likely, from rows that a tenant's
  # people fill in. What they write must not make this server read its own files or talk to its own network:
  #
  # - a setting that names a file, a profile or a proxy of the server is refused, as is a key in a file (`file:`),
  # - an endpoint has to be a public address, see {PublicEndpoint},
  # - bucket and region have to be plain names, because they become a part of the store's address,
  # - the service is of a kind that stores nothing on this server.
  #
  # `config.encrypted_s3_service.trusted_resolver = true` takes whatever `storage.yml` could hold.
  # @api private
  class ResolvedEntry
    include Confidential

    # Kinds of services (`service:`) that reach no file of the server once the settings are checked.
    KINDS = %w[EncryptedS3 S3 Mirror].freeze
    # Settings that name files, sections of files or hosts of the server.
    SERVER_SETTINGS = %i[
      root ssl_ca_bundle ssl_ca_directory ssl_ca_store profile http_proxy credentials instance_profile_endpoint
    ].freeze
    # What is a part of a host's name in every address of Amazon's.
    REGION = /\A[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\z/i
    # The name of a bucket, or the ARN of an access point.
    BUCKET = %r{\A([a-z0-9][a-z0-9._-]{0,253}|arn:[a-z-]+:s3[a-z0-9-]*:[a-z0-9-]*:\d*:[\w/:.-]+)\z}i
    # Where else than in the configuration a key may be (`file:`, and what other sources there will be).
    KEY_SOURCE = /\A(?!base64:)[a-z][a-z0-9+.-]{1,20}:/i

    class << self
      # @param name [String] of the service, for the message
      # @param key [Object, nil] as `encryption_key` has it
      # @return [void]
      # @raise [ConfigurationError] when it names a file or another place of the server
      def check_key(name, key, setting = "encryption_key")
        return if trusted? || !elsewhere?(key)

        raise ConfigurationError, "The key of the service `#{name}` must be the key itself: #{setting} names a file " \
                                  "or another place, which only config/storage.yml may do. #{advice}"
      end

      # @return [Boolean] whether the application vouches for what its resolver returns
      def trusted? = EncryptedS3Service.settings.trusted_resolver

      # @return [String] what to do about a refusal, for messages
      def advice
        "If nobody but you can write what it returns, set config.encrypted_s3_service.trusted_resolver to true."
      end

      private

      # A key in PEM begins with a dash, and raw bytes have their exact size.
      def elsewhere?(key)
        return true if key.respond_to?(:to_path)
        return false unless key.is_a?(String)

        text = key.b.lstrip
        text.start_with?(KeySource::PREFIX) || (key.bytesize != 32 && text.match?(KEY_SOURCE))
      end
    end

    # @param name [Symbol] of the service
    # @param settings [#to_h] what a resolver has returned
    # @raise [ConfigurationError] when it is no entry, or one that only `storage.yml` may have
    def initialize(name, settings)
      @name = name
      @entry = settings.respond_to?(:to_h) ? settings.to_h.deep_symbolize_keys : {}
      unless @entry.key?(:service)
        raise ConfigurationError, "The resolver returned no entry with a service for #{name.inspect}, as storage.yml " \
                                  "would have it, but a #{settings.class}"
      end

      check unless self.class.trusted?
    end

    # @return [ActiveStorage::Service]
    # @raise [ConfigurationError]
    def service
      # With the others, which a mirror may name.
      others = Rails.configuration.active_storage.service_configurations.to_h.symbolize_keys
      configurations = { **others, @name => @entry }
      # Parts that do not exist, or the mirror itself, raise here.
      ServiceEntries.new(configurations).parts(@name)
      ActiveStorage::Service.configure(@name, configurations)
    end

    private

    def public_attributes = { name: @name }

    def check
      kind = @entry[:service].to_s.camelize
      refuse "service: #{kind} may store files on this server" unless KINDS.include?(kind)

      check_settings(@entry, nil)
      check_name(:region, REGION)
      check_name(:bucket, BUCKET)
      check_keys
      check_endpoint if @entry[:endpoint].present?
    end

    # Whatever the setting: paths, and the settings that are the server's own.
    def check_settings(settings, within)
      settings.each do |name, value|
        setting = [within, name].compact.join(".")
        refuse "#{setting} names something of this server" if SERVER_SETTINGS.include?(name.to_sym) && !blank?(value)

        path = value.respond_to?(:to_path) || (value.is_a?(String) && value.b.lstrip.start_with?(KeySource::PREFIX))
        refuse "#{setting} names a file of this server" if path
        check_settings(value, setting) if value.is_a?(Hash)
        check_settings(value.each_with_index.to_h { |element, at| [at.to_s, element] }, setting) if value.is_a?(Array)
      end
    end

    def check_name(setting, form)
      value = @entry[setting]
      refuse "#{setting} is no plain name" unless blank?(value) || value.to_s.match?(form)
    end

    def check_keys
      self.class.check_key(@name, @entry[:encryption_key])
      keys = @entry[:decryption_keys]
      keys = keys.values if keys.is_a?(Hash)
      Array(keys).each do |key|
        self.class.check_key(@name, key.is_a?(Hash) ? key[:key] : key, "decryption_keys")
      end
    end

    # Where the bucket is a part of the host's name, whoever owns the domain says where that name leads.
    def check_endpoint
      inside = @entry[:bucket] unless @entry[:force_path_style].to_s == "true"
      problem = PublicEndpoint.new(@entry[:endpoint].to_s, bucket: inside).problem or return

      refuse "endpoint #{problem}", "List endpoints of your own network in " \
                                    "config.encrypted_s3_service.trusted_resolver_endpoints."
    end

    def blank?(value) = value.nil? || value == ""

    def refuse(problem, advice = self.class.advice)
      raise ConfigurationError, "The resolver's entry for the service `#{@name}` is refused: #{problem}. #{advice}"
    end
  end
end
