# frozen_string_literal: true

module EncryptedS3Service
  # Direct uploads to a service that the server chooses. The browser requests a blob from Active Storage's own
  # controller. To get one on another service than the default it sends a token that this application signed. The token
  # names the service, expires, is valid for this purpose only, and can be bound to a tenant. Plain service names from a
  # client are refused, because the client could choose a service that does not encrypt.
  #
  #     rails_direct_uploads_url(service_token: EncryptedS3Service::DirectUploads.token(:encrypted_amazon))
  #
  # The form helpers add the token, see {DirectUploads::FormHelper}.
  #
  # A client without a token gets a blob on the current service: in Active Storage's controllers the tenant's service if
  # `config.encrypted_s3_service.active_storage_concerns` is set, otherwise the default. A blob on another service than
  # its attribute requires is refused when it is attached: {AttachmentValidator}.
  #
  # Applications that authorize requests to Active Storage's controllers can allow a plain `service_name` for the
  # services in a list:
  #
  #     config.encrypted_s3_service.direct_upload_services = %i[encrypted_amazon encrypted_frankfurt]
  module DirectUploads
    autoload :Announcement, "encrypted_s3_service/direct_uploads/announcement"
    autoload :Arrival, "encrypted_s3_service/direct_uploads/arrival"
    autoload :Controller, "encrypted_s3_service/direct_uploads/controller"
    autoload :Description, "encrypted_s3_service/direct_uploads/description"
    autoload :RichTextHelper, "encrypted_s3_service/direct_uploads/rich_text_helper"
    autoload :FormHelper, "encrypted_s3_service/direct_uploads/form_helper"

    # Purpose of the tokens; other tokens of ActiveStorage.verifier are not accepted.
    PURPOSE = :encrypted_s3_service_token

    class << self
      # Loads all autoloaded constants.
      # @return [void]
      # @api private
      def eager_load! = constants.each { |name| const_get(name) }

      # @param service [Symbol, String] service for the file
      # @param tenant [Object, false, nil] the only tenant that can use the token, an object with a GlobalID; requires
      #   `config.encrypted_s3_service.active_storage_concerns`. With that setting, nil means the current tenant and
      #   false means none
      # @param expires_in [ActiveSupport::Duration, Numeric, false, nil] seconds; false for no expiry; nil for
      #   `config.encrypted_s3_service.direct_upload_token_expires_in`. Cached pages must be younger than that
      # @return [String] a token for `rails_direct_uploads_url(service_token: …)`
      # @raise [ConfigurationError] when the service does not exist
      def token(service, tenant: nil, expires_in: nil)
        raise ConfigurationError, "The token of a direct upload needs a service, not nil." if service.nil?

        content = { "service" => ServiceSwitch.existing(service).to_s, "tenant" => bound_to(tenant) }.compact
        expires_in = options.direct_upload_token_expires_in if expires_in.nil?
        ActiveStorage.verifier.generate(content, purpose: PURPOSE, expires_in: expires_in || nil)
      end

      # @param record [Object, Class, nil] the form's record, or its class
      # @param attribute [Symbol, String, nil]
      # @return [Symbol, nil] the service for a form's token: the attribute's, the block's or the current tenant's; nil
      #   when no token is needed
      # @api private
      def service_for(record, attribute)
        service = RequiredService.of(record, attribute) || EncryptedS3Service.current_service
        service || (ActiveStorage::Blob.service&.name if options.direct_uploads == :token)
      end

      # @param token [String]
      # @param tenant [Object, nil] the request's tenant
      # @return [Symbol] the service named by the token
      # @raise [DirectUploadRefusedError] when the token is invalid, has expired or belongs to another tenant
      # @raise [ConfigurationError] when the service no longer exists
      # @api private
      def service_of(token, tenant:)
        content = ActiveStorage.verifier.verified(token.to_s, purpose: PURPOSE)
        refuse("The service_token is invalid or has expired. Load the page again.") unless content.is_a?(Hash)

        bound = content["tenant"]
        if bound && bound != CurrentTenant.gid_of(tenant)
          refuse("The service_token was made for another tenant. Load the page again.")
        end

        ServiceSwitch.existing(content.fetch("service"))
      end

      # @param name [String] a service name from a client
      # @return [Symbol] the service, if `config.encrypted_s3_service.direct_upload_services` contains it
      # @raise [DirectUploadRefusedError]
      # @raise [ConfigurationError] when the setting names a service that does not exist
      # @api private
      def listed_service(name)
        allowed = Array(options.direct_upload_services).map(&:to_s)
        return ServiceSwitch.existing(name) if allowed.include?(name)

        refuse("A client may not choose the service by its name. Use a service_token, or list the services that " \
               "anybody may choose in config.encrypted_s3_service.direct_upload_services.")
      end

      # @param service [Symbol, nil] the service of a client without a token; nil for the current service
      # @return [void]
      # @raise [DirectUploadRefusedError] when it does not encrypt and `config.encrypted_s3_service.direct_uploads` is
      #   `:token`
      # @api private
      def refuse_plaintext(service)
        return unless options.direct_uploads == :token

        service = service ? ActiveStorage::Blob.services.fetch(service) : ActiveStorage::Blob.service
        return if ServiceParts.new(service).encrypted?

        refuse("A direct upload needs a service_token. Load the page again.")
      end

      private

      # @return [String, nil] GlobalID of the tenant that the token is bound to
      def bound_to(tenant)
        # A new record, as at a sign-up, has no GlobalID that a later request could match.
        return (CurrentTenant.gid_of(CurrentTenant.get) if options.active_storage_concerns) if tenant.nil?
        return if tenant == false

        CurrentTenant.gid_of(tenant) or
          raise ArgumentError, "The token of a direct upload cannot be bound to a #{tenant.class} without a GlobalID."
      end

      def refuse(reason) = raise(DirectUploadRefusedError, reason)

      def options = EncryptedS3Service.settings
    end
  end
end
