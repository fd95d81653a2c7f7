# frozen_string_literal: true

module EncryptedS3Service
  module Serving
    # The host of file URLs. In a request it comes from `ActiveStorage::Current.url_options`, which Active Storage's own
    # controllers and those that include ActiveStorage::SetCurrent set. Jobs, mailers, broadcasts and consoles have no
    # request and use the first application setting that names a host. The asset host is not used, because it is often a
    # CDN. The request itself is last, for controllers that set nothing: a `Host` header must not override the host that
    # the application configured, for example in a mail.
    module Host
      # Sources of the host in order of precedence, by the names used in messages.
      SOURCES = {
        "ActiveStorage::Current.url_options" => -> { ActiveStorage::Current.url_options },
        "config.encrypted_s3_service.default_url_options" => -> { EncryptedS3Service.settings.default_url_options },
        "Rails.application.routes.default_url_options" => -> { Rails.application.routes.default_url_options },
        "config.action_mailer.default_url_options" => -> { of_framework(:action_mailer, :ActionMailer) },
        "config.action_controller.default_url_options" => -> { of_framework(:action_controller, :ActionController) },
        "the request" => -> { RequestPlace.url_options }
      }.freeze
      # Sources that know their protocol.
      FROM_REQUEST = ["ActiveStorage::Current.url_options", "the request"].freeze
      private_constant :SOURCES, :FROM_REQUEST

      class << self
        # @return [Array(String, Hash{Symbol => Object}), nil] the source of the host for a URL made now, and its URL
        #   options; nil when no source names a host
        def found
          SOURCES.each do |name, source|
            options = instance_exec(&source)
            return [name, options.to_h.symbolize_keys] if names_host?(options)
          end
          nil
        end

        # @return [String, nil] the name of that source
        def source = found&.first

        # @param file [Object] the file, for the message
        # @return [Hash{Symbol => Object}] options for the route helpers
        # @raise [ArgumentError] when no setting names a host
        def options_for(file)
          name, options = found
          unless options
            raise ArgumentError, "Cannot make a URL for #{file}: no host is known outside of a request. Set, for " \
                                 "example, config.encrypted_s3_service.default_url_options = { host: " \
                                 "\"www.example.com\" }, or ActiveStorage::Current.url_options around the call."
          end

          with_prefix(secured(options, name))
        end

        private

        def names_host?(options) = options.respond_to?(:to_h) && options.to_h.symbolize_keys[:host].present?

        # The framework's configuration, or the value set on its class later.
        def of_framework(setting, constant)
          config = Rails.application.config
          options = config.public_send(setting).default_url_options if config.respond_to?(setting)
          return options if names_host?(options)

          base = Object.const_get(constant).const_get(:Base) if Object.const_defined?(constant)
          base.default_url_options if base.respond_to?(:default_url_options)
        end

        # With `force_ssl` all URLs must begin with https.
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
