# frozen_string_literal: true

module EncryptedS3Service
  # Direct uploads to a service that the server chooses. The browser asks Active Storage's own controller for a blob;
  # what it shows there to get one on another service than the default is a token that this application has signed. It
  # names the service, expires, is good for nothing else, and may be bound to a tenant. The plain name of a service is
  # not taken from a client, who could otherwise choose the one that does not encrypt.
  #
  #     rails_direct_uploads_url(service_token: EncryptedS3Service::DirectUploads.token(:encrypted_amazon))
  #
  # The form helpers make the token by themselves, see {DirectUploads::FormHelper}.
  #
  # A client that shows none gets a blob on the service that is in force, which for Active Storage's controllers is the
  # tenant's where `config.encrypted_s3_service.active_storage_concerns` is set, and otherwise the default. A blob
  # that got to another service than its attribute demands is refused when it is attached: {AttachmentValidator}.
  #
  # Applications whose own checks stand before Active Storage's controllers may let clients choose by a plain
  # `service_name` after all, among the services that they list:
  #
  #     config.encrypted_s3_service.direct_upload_services = %i[encrypted_amazon encrypted_frankfurt]
  module DirectUploads
    autoload :Announcement, "encrypted_s3_service/direct_uploads/announcement"
    autoload :Arrival, "encrypted_s3_service/direct_uploads/arrival"
    autoload :Controller, "encrypted_s3_service/direct_uploads/controller"
    autoload :RichTextHelper, "encrypted_s3_service/direct_uploads/rich_text_helper"
    autoload :FormHelper, "encrypted_s3_service/direct_uploads/form_helper"

    # What the tokens are signed for, so that no other token of ActiveStorage.verifier passes for one.
    PURPOSE = :encrypted_s3_service_token

    class << self
      # Loads what is loaded on first use otherwise.
      # @return [void]
      # @api private
      def eager_load! = constants.each { |name| const_get(name) }

      # @param service [Symbol, String] where the file is to go
      # @param tenant [Object, false, nil] for whom alone the token is good, something with a GlobalID. It takes that
      #   Active Storage's controllers know the tenant (`config.encrypted_s3_service.active_storage_concerns`); where
      #   they do, nil is the current one and false none
      # @param expires_in [ActiveSupport::Duration, Numeric, false, nil] seconds; false for never; nil for what
      #   `config.encrypted_s3_service.direct_upload_token_expires_in` says. A page in a cache has to be newer than that
      # @return [String] a token for `rails_direct_uploads_url(service_token: …)`
      # @raise [ConfigurationError] when there is no such service
      def token(service, tenant: nil, expires_in: nil)
        raise ConfigurationError, "A direct upload's token names a service, not nil" if service.nil?

        content = { "service" => ServiceSwitch.existing(service).to_s, "tenant" => bound_to(tenant) }.compact
        expires_in = options.direct_upload_token_expires_in if expires_in.nil?
        ActiveStorage.verifier.generate(content, purpose: PURPOSE, expires_in: expires_in || nil)
      end

      # @param record [Object, nil] of a form
      # @param attribute [Symbol, String, nil]
      # @return [Symbol, nil] the service that a form's token has to name: the attribute's, the one of the block or of
      #   the current tenant; nil when no token is needed
      # @api private
      def service_for(record, attribute)
        service = RequiredService.of(record, attribute) || EncryptedS3Service.current_service
        service || (ActiveStorage::Blob.service&.name if options.direct_uploads == :token)
      end

      # @param token [String]
      # @param tenant [Object, nil] of the request
      # @return [Symbol] the service it names
      # @raise [DirectUploadRefusedError] when it is not ours, has expired or is another tenant's
      # @raise [ConfigurationError] when the service does not exist any more
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

      # @param name [String] as a client sends it
      # @return [Symbol] the service, when `config.encrypted_s3_service.direct_upload_services` has it
      # @raise [DirectUploadRefusedError]
      # @raise [ConfigurationError] when the setting names a service that does not exist
      # @api private
      def listed_service(name)
        allowed = Array(options.direct_upload_services).map(&:to_s)
        return ServiceSwitch.existing(name) if allowed.include?(name)

        refuse("A client may not choose the service by its name. Use a service_token, or list the services that " \
               "anybody may choose in config.encrypted_s3_service.direct_upload_services.")
      end

      # @param service [Symbol, nil] that a client without a token would use; nil for the one that is in force
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

      # @return [String, nil] the tenant that a token is bound to
      def bound_to(tenant)
        # One that is not stored, as at a sign-up, has no name that a later request could have.
        return (CurrentTenant.gid_of(CurrentTenant.get) if options.active_storage_concerns) if tenant.nil?
        return if tenant == false

        CurrentTenant.gid_of(tenant) or
          raise ArgumentError, "A direct upload's token cannot be bound to a #{tenant.class} without a GlobalID"
      end

      def refuse(reason) = raise(DirectUploadRefusedError, reason)

      def options = EncryptedS3Service.settings
    end
  end
end
