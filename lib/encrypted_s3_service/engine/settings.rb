# frozen_string_literal: true

require "active_support/core_ext/integer/time"
require_relative "../configuration/confidential"
require_relative "../deprecator"
require_relative "../errors"
require_relative "settings/kinds"

# The part of the gem that needs Rails: settings of the application.
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
    # A name that does not exist and a value of the wrong kind raise a {ConfigurationError} at once. `nil` stands for
    # the default of a setting.
    class Settings
      include Confidential

      # A declared setting.
      # @api private
      Declaration = Struct.new(:name, :kind, :default, :options)

      class << self
        # @return [Hash{Symbol => Declaration}] all settings by their names
        # @api private
        def declarations = @declarations ||= {}

        # @return [Hash{Symbol => Symbol}] former names of settings and their names now
        # @api private
        def former_names = @former_names ||= {}

        private

        # Declares a setting: a reader, a writer that checks the value, and a default.
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

      # The class that the gem's controllers inherit from. They serve decrypted files and take direct uploads. Their
      # addresses are signed and expire; a `before_action` of this class that asks for a login protects them further.
      # What stands before Active Storage's own controllers stands before these by default.
      # @return [String] `"ActiveStorage::BaseController"` by default
      setting :base_controller, :class_name, default: "ActiveStorage::BaseController"

      # Concerns of the application that find the tenant of a request; Active Storage's own controllers include them.
      # `true` where the tenant is known before any controller. See {Controller.include_in}.
      # @return [String, Array<String>, Boolean, nil] names of modules
      setting :active_storage_concerns, :concerns
      renamed :active_storage_controllers, :active_storage_concerns

      # The attribute that holds the tenant of a request or job. See {CurrentTenant}.
      # @return [String, nil] a class and an attribute, for example `"Current.organisation"`
      setting :current_tenant, :attribute

      # Whether jobs of gems take the tenant, or the service of a block, from where they are enqueued to where they are
      # performed. Jobs that include {Job} always do.
      # @return [Boolean] true by default
      setting :carry_tenant_in_jobs, :boolean, default: true

      # Mirrors that may encrypt in part, while files are moved. See {MixedMirrors}.
      # @return [Symbol, String, Array<Symbol, String>, nil] none by default
      setting :plaintext_mirrors, :names

      # Whether a blob that exists is copied when it is attached where files have to be on another service. Otherwise it
      # is refused. `has_one_attached …, copy_attached_blobs:` says it for one attachment. See {BlobCopy}.
      # @return [Boolean] false by default
      setting :copy_attached_blobs, :boolean, default: false

      # Finds the settings of services that are not in `storage.yml`. See {ResolvedServices}.
      # @return [#call, nil] is given a name (String) and returns a Hash, a service, or nil
      setting :service_resolver, :callable

      # Whether what the resolver and `tenant_keys` return is trusted as `storage.yml` is. Otherwise it may not name
      # files of the server, profiles or proxies. See {ResolvedEntry}.
      # @return [Boolean] false by default
      setting :trusted_resolver, :boolean, default: false

      # Endpoints that the resolver may name although they lead to this machine or to a private network, as URLs or as
      # hosts with or without a port. Endpoints of `storage.yml` need not be listed.
      # @return [String, Array<String>, nil] for example `%w[http://minio.internal:9000]`
      setting :trusted_resolver_endpoints, :names

      # How many services of the resolver and of tenants a process keeps.
      # @return [Integer] 100 by default
      setting :resolved_services_limit, :integer, default: ResolvedServices::DEFAULT_LIMIT, within: (1..)

      # Seconds after which the settings of a kept service are asked for again.
      # @return [Numeric, ActiveSupport::Duration] 60 by default
      setting :resolved_services_ttl, :seconds, default: ResolvedServices::DEFAULT_TTL, within: (0..)

      # A key for each tenant, by the name of an entry in `storage.yml`. See {TenantKeys}.
      # @return [Hash{Symbol, String => #call, #[]}, nil]
      setting :tenant_keys, :key_sources

      # What `SCOPE=name` and `SCOPE=name:argument` mean for the task `encrypted_s3_service:migrate`.
      # @return [Hash{Symbol, String => #call}, nil] lambdas that return a relation of ActiveStorage::Blob
      setting :migration_scopes, :callables

      # Seconds for which a direct upload's token is good, that is how long a page with a form may stay open, or a part
      # of it in a cache. `false` for ever.
      # @return [Numeric, ActiveSupport::Duration, false] 24 hours by default
      setting :direct_upload_token_expires_in, :seconds_or_never, default: 24.hours, within: (1..)

      # Services that any client may choose by their plain names for a direct upload. See {DirectUploads}.
      # @return [Symbol, String, Array<Symbol, String>, nil] none by default
      setting :direct_upload_services, :names

      # Creates settings that have their defaults.
      def initialize
        @given = {}
      end

      # @param name [Symbol, String]
      # @return [Object, nil] the value of the setting
      # @raise [ConfigurationError] when there is no such setting
      def [](name) = public_send(known(name))

      # @param name [Symbol, String]
      # @param value [Object, nil] nil for the default
      # @raise [ConfigurationError] when there is no such setting, or the value is of the wrong kind
      def []=(name, value)
        public_send(:"#{known(name)}=", value)
      end

      # @param values [Hash{Symbol, String => Object}] by the names of settings
      # @return [self]
      # @raise [ConfigurationError] when there is no such setting, or a value is of the wrong kind
      def merge!(values)
        values.each { |name, value| self[name] = value }
        self
      end
      alias update merge!

      # @return [Hash{Symbol => Object}] all settings with their values
      def to_h = self.class.declarations.keys.to_h { |name| [name, read(name)] }

      # Checks all values once more: a Hash or an Array may have been changed after it was assigned.
      # @return [void]
      # @raise [ConfigurationError]
      # @api private
      def check
        @given.each { |name, value| assign(name, value) }
      end

      # @return [Boolean] false
      # @api private
      def respond_to_missing?(*) = false

      # Every other name is a mistake.
      # @raise [ConfigurationError] which names the setting that was probably meant
      # @api private
      def method_missing(name, *)
        # Ruby looks for conversions by itself (`to_ary`, `to_str`).
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

      # Other values may be keys.
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

      # @return [Symbol] the name, when there is such a setting
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
  # @raise [ConfigurationError] when the application has put something else in their place
  def self.settings
    settings = Engine.config.encrypted_s3_service
    return settings if settings.is_a?(Engine::Settings)

    raise ConfigurationError, "config.encrypted_s3_service was replaced by a #{settings.class}. Assign each setting, " \
                              "for example config.encrypted_s3_service.base_controller = \"ApplicationController\"."
  end
end

require_relative "settings/serving"
