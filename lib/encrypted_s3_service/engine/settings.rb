# frozen_string_literal: true

require "active_support/core_ext/integer/time"
require_relative "../configuration/confidential"
require_relative "../deprecator"
require_relative "../errors"
require_relative "settings/kinds"

# Settings of the Rails application.
module EncryptedS3Service
  class Engine
    # The settings of the application, `config.encrypted_s3_service`. The settings of each service are in
    # `config/storage.yml` (see {Configuration}).
    #
    #     # config/initializers/encrypted_s3_service.rb
    #     Rails.application.configure do
    #       config.encrypted_s3_service.base_controller = "ApplicationController"
    #     end
    #
    # An unknown setting or a value of the wrong type raises a {ConfigurationError} at once. `nil` means the default.
    class Settings
      include Confidential

      # A declared setting.
      # @api private
      Declaration = Struct.new(:name, :kind, :default, :options)

      class << self
        # @return [Hash{Symbol => Declaration}] all settings by their names
        # @api private
        def declarations = @declarations ||= {}

        # @return [Hash{Symbol => Symbol}] former names of settings and their present names
        # @api private
        def former_names = @former_names ||= {}

        private

        # Declares a setting with a reader, a checking writer and a default.
        # @!macro [attach] setting
        #   @!attribute [rw] $1
        # @param name [Symbol]
        # @param kind [Symbol] one of {Kinds::ALL}
        # @param default [Object, nil]
        # @param options [Hash] `within:` a Range for numbers, `one_of:` an Array for choices
        def setting(name, kind, default: nil, **options)
          declarations[name] = Declaration.new(name, kind, default, options)
          define_method(name) { read(name) }
          define_method(:"#{name}=") { |value| assign(name, value) }
        end

        # Keeps a former name of a setting, with a warning.
        # @param former [Symbol]
        # @param name [Symbol] of a setting
        def renamed(former, name)
          former_names[former] = name
          define_method(former) { warn_of_former(former, name) { read(name) } }
          define_method(:"#{former}=") { |value| warn_of_former(former, name) { assign(name, value) } }
        end
      end

      # Parent class of the gem's controllers, which serve decrypted files and receive direct uploads. Their URLs are
      # signed and expire; a `before_action` of this class can also require a login. The default has the same callbacks
      # as Active Storage's own controllers.
      # @return [String] `"ActiveStorage::BaseController"` by default
      setting :base_controller, :class_name, default: "ActiveStorage::BaseController"

      # Concerns of the application that set the tenant of a request. They are included in Active Storage's controllers.
      # `true` if the tenant is set before any controller runs. See {Controller.include_in}.
      # @return [String, Array<String>, Boolean, nil] names of modules
      setting :active_storage_concerns, :concerns
      renamed :active_storage_controllers, :active_storage_concerns

      # The attribute that holds the tenant of a request or job. See {CurrentTenant}.
      # @return [String, nil] a class and an attribute, for example `"Current.organisation"`
      setting :current_tenant, :attribute

      # Whether jobs that do not include {Job}, for example those of gems, run for the tenant, or on the service of the
      # block, in which they were enqueued.
      # @return [Boolean] true by default
      setting :carry_tenant_in_jobs, :boolean, default: true

      # Mirrors that may contain services without encryption, for example during a migration. See {MixedMirrors}.
      # @return [Symbol, String, Array<Symbol, String>, nil] none by default
      setting :plaintext_mirrors, :names

      # Whether an existing blob is copied when it is attached to an attribute that requires another service. Otherwise
      # it is refused. `has_one_attached …, copy_attached_blobs:` overrides it for one attachment. See {BlobCopy}.
      # @return [Boolean] false by default
      setting :copy_attached_blobs, :boolean, default: false

      # Returns the settings of services that are not in `storage.yml`. See {ResolvedServices}.
      # @return [#call, nil] receives a name (String) and returns a Hash, a service, or nil
      setting :service_resolver, :callable

      # Whether the results of the resolver and of `tenant_keys` are trusted like `storage.yml`. Otherwise they must not
      # name files of the server, profiles or proxies. See {ResolvedEntry}.
      # @return [Boolean] false by default
      setting :trusted_resolver, :boolean, default: false

      # Endpoints on this machine or in private networks that the resolver may use, as URLs or hosts with or without a
      # port. Endpoints of `storage.yml` are always allowed.
      # @return [String, Array<String>, nil] for example `%w[http://minio.internal:9000]`
      setting :trusted_resolver_endpoints, :names

      # Maximum number of resolver and tenant services that a process caches.
      # @return [Integer] 100 by default
      setting :resolved_services_limit, :integer, default: ResolvedServices::DEFAULT_LIMIT, within: (1..)

      # Seconds after which the settings of a cached service are requested again.
      # @return [Numeric, ActiveSupport::Duration] 60 by default
      setting :resolved_services_ttl, :seconds, default: ResolvedServices::DEFAULT_TTL, within: (0..)

      # A key for each tenant, by the name of an entry in `storage.yml`. See {TenantKeys}.
      # @return [Hash{Symbol, String => #call, #[]}, nil]
      setting :tenant_keys, :key_sources

      # Returns keys for which the configuration has only references (`encryption_key: "openbao:…"` or `"custodian:…"`).
      # {OpenBao} is one.
      # @return [#unwrap, nil] receives a reference (String, without `#KEY_ID`) and returns 32 bytes; by default
      #   {OpenBao.from_environment}
      setting :key_custodian, :custodian

      # Seconds for which a process keeps a key that the custodian returned. A revoked key is used for no longer than
      # this, and the application survives an outage of the custodian for no longer than this.
      # @return [Numeric, ActiveSupport::Duration] 5 minutes by default
      setting :key_custody_ttl, :seconds, default: 5.minutes, within: (1..86_400)

      # The private Ed25519 key that signs destruction reports (`encrypted_s3_service:unreadable REPORT=path`), in PEM,
      # or `file:` and a path. See {DestructionReport}.
      # @return [String, nil] by default `REPORT_SIGNING_KEY` of the environment
      setting :report_signing_key, :text

      # Scopes for `SCOPE=name` and `SCOPE=name:argument` of the task `encrypted_s3_service:migrate`.
      # @return [Hash{Symbol, String => #call}, nil] lambdas that return a relation of ActiveStorage::Blob
      setting :migration_scopes, :callables

      # Seconds until a direct upload's token expires. A form can stay open, and a page cached, for this long. `false`
      # means never.
      # @return [Numeric, ActiveSupport::Duration, false] 24 hours by default
      setting :direct_upload_token_expires_in, :seconds_or_never, default: 24.hours, within: (1..)

      # Services that any client may choose by name for a direct upload. See {DirectUploads}.
      # @return [Symbol, String, Array<Symbol, String>, nil] none by default
      setting :direct_upload_services, :names

      # All settings have their defaults.
      def initialize
        @given = {}
      end

      # @param name [Symbol, String]
      # @return [Object, nil] the value of the setting
      # @raise [ConfigurationError] when the setting does not exist
      def [](name) = public_send(known(name))

      # @param name [Symbol, String]
      # @param value [Object, nil] nil for the default
      # @raise [ConfigurationError] when the setting does not exist or the value is of the wrong type
      def []=(name, value)
        public_send(:"#{known(name)}=", value)
      end

      # @param values [Hash{Symbol, String => Object}] values by setting
      # @return [self]
      # @raise [ConfigurationError] when a setting does not exist or a value is of the wrong type
      def merge!(values)
        values.each { |name, value| self[name] = value }
        self
      end
      alias update merge!

      # @return [Hash{Symbol => Object}] all settings with their values
      def to_h = self.class.declarations.keys.to_h { |name| [name, read(name)] }

      # Checks all values again, because a Hash or an Array can be changed after it was assigned.
      # @return [void]
      # @raise [ConfigurationError]
      # @api private
      def check
        @given.each { |name, value| assign(name, value) }
      end

      # @return [Boolean] false
      # @api private
      def respond_to_missing?(*) = false

      # Refuses unknown settings.
      # @raise [ConfigurationError] always; it suggests the most similar setting
      # @api private
      def method_missing(name, *)
        # Ruby itself tests for conversions (`to_ary`, `to_str`).
        return super if name.start_with?("to_")

        known(name.to_s.delete_suffix("="))
      end

      private

      def public_attributes = { set: @given.keys }

      def read(name)
        value = @given[name]
        value.nil? ? self.class.declarations.fetch(name).default : value
      end

      def assign(name, value)
        return @given.delete(name) if value.nil?

        declaration = self.class.declarations.fetch(name)
        problem = Kinds.problem(declaration.kind, value, declaration.options)
        raise ConfigurationError, "config.encrypted_s3_service.#{name} #{problem}, not #{shown(value)}" if problem

        @given[name] = value
      end

      # Other values are not shown because they may be keys.
      def shown(value)
        case value
        when Numeric, Symbol, true, false, ActiveSupport::Duration then value.inspect
        else value.class
        end
      end

      def warn_of_former(former, name)
        EncryptedS3Service.deprecator.warn("config.encrypted_s3_service.#{former} is deprecated. Use #{name} instead.")
        yield
      end

      # @return [Symbol] the name of an existing setting
      def known(name)
        name = name.to_s
        names = self.class.declarations.keys + self.class.former_names.keys
        found = names.find { |known| known.to_s == name }
        return found if found

        raise ConfigurationError, "config.encrypted_s3_service.#{name} does not exist.#{suggestion(name, names)} " \
                                  "The settings are: #{self.class.declarations.keys.sort.join(", ")}."
      end

      def suggestion(name, names)
        return unless defined?(DidYouMean::SpellChecker)

        likely = DidYouMean::SpellChecker.new(dictionary: names).correct(name).first
        " Did you mean #{likely}?" if likely
      end
    end
  end

  # @return [Engine::Settings] the settings of the application, `config.encrypted_s3_service`
  # @raise [ConfigurationError] when the application replaced them by another object
  def self.settings
    settings = Engine.config.encrypted_s3_service
    return settings if settings.is_a?(Engine::Settings)

    raise ConfigurationError, "config.encrypted_s3_service was replaced by a #{settings.class}. Assign each setting, " \
                              "for example config.encrypted_s3_service.base_controller = \"ApplicationController\"."
  end
end

require_relative "settings/serving"
