# frozen_string_literal: true

module EncryptedS3Service
  module Serving
    # Which host the addresses of files begin with. In a request it is the request's, which Active Storage's own
    # controllers, and those that include ActiveStorage::SetCurrent, have put into `ActiveStorage::Current.url_options`.
    # Jobs, mailers, broadcasts and consoles know no request: there it is the first of the application's own settings
    # that names a host. Its asset host is none of them: that is often a CDN, which has no business with these files.
    # Last comes the request itself, for controllers that have set nothing: an application that names its host is not to
    # be talked into another one by a request's `Host`, in a mail that the request sends, for example.
    module Host
      # Where a host may be named, in the order of looking, with the name to be shown.
      SOURCES = {
        "ActiveStorage::Current.url_options" => -> { ActiveStorage::Current.url_options },
        "config.encrypted_s3_service.default_url_options" => -> { EncryptedS3Service.settings.default_url_options },
        "Rails.application.routes.default_url_options" => -> { Rails.application.routes.default_url_options },
        "config.action_mailer.default_url_options" => -> { of_framework(:action_mailer, :ActionMailer) },
        "config.action_controller.default_url_options" => -> { of_framework(:action_controller, :ActionController) },
        "the request" => -> { RequestPlace.url_options }
      }.freeze
      # What knows its own protocol.
      FROM_REQUEST = ["ActiveStorage::Current.url_options", "the request"].freeze
      private_constant :SOURCES, :FROM_REQUEST

      class << self
        # @return [Array(String, Hash{Symbol => Object}), nil] the setting that names the host of an address made here
        #   and now, and what it says; nil when none does
        def found
          SOURCES.each do |name, source|
            options = instance_exec(&source)
            return [name, options.to_h.symbolize_keys] if names_host?(options)
          end
          nil
        end

        # @return [String, nil] the name of that setting
        def source = found&.first

        # @param what [Object] what the address is of, for the message
        # @return [Hash{Symbol => Object}] for the routes' helpers
        # @raise [ArgumentError] when no setting names a host
        def options_for(what)
          name, options = found
          unless options
            raise ArgumentError, "Cannot make a URL for #{what}: no host is known outside of a request. Set, for " \
                                 "example, config.encrypted_s3_service.default_url_options = { host: " \
                                 "\"www.example.com\" }, or ActiveStorage::Current.url_options around the call."
          end

          with_prefix(secured(options, name))
        end

        private

        def names_host?(options) = options.respond_to?(:to_h) && options.to_h.symbolize_keys[:host].present?

        # The framework's configuration, or what was set on its class afterwards.
        def of_framework(setting, constant)
          config = Rails.application.config
          options = config.public_send(setting).default_url_options if config.respond_to?(setting)
          return options if names_host?(options)

          base = Object.const_get(constant).const_get(:Base) if Object.const_defined?(constant)
          base.default_url_options if base.respond_to?(:default_url_options)
        end

        # Where the application redirects everything to HTTPS, no address of it begins with http:.
        def secured(options, name)
          return options if FROM_REQUEST.include?(name) || !Rails.application.config.force_ssl

          { protocol: "https", **options }
        end

        def with_prefix(options)
          prefix = RequestPlace.prefix
          prefix.present? ? { script_name: prefix, **options } : options
        end
      end
    end
  end
end
