# frozen_string_literal: true

module EncryptedS3Service
  module DirectUploads
    # Prepended to ActiveStorage::DirectUploadsController, whose `create` passes its private `blob_args` to
    # ActiveStorage::Blob.create_before_direct_upload! since version 7.0.2
    # (`app/controllers/active_storage/direct_uploads_controller.rb`). A refused request gets 403 (413 for a file that
    # is too large, 422 for a description that is not one) and `{"error": "…"}`, never a blob on the default service.
    # @api private
    module Controller
      # Statuses of refusals, in the order in which they are looked up.
      STATUSES = { DirectUploadTooLargeError => 413, DirectUploadInvalidError => 422,
                   DirectUploadRefusedError => 403 }.freeze
      private_constant :STATUSES

      # @param controller [Class] ActiveStorage::DirectUploadsController
      # @return [void]
      def self.install(controller)
        return if controller < self

        controller.rescue_from(DirectUploadRefusedError) do |error|
          _, status = STATUSES.find { |kind, _| error.is_a?(kind) }
          render json: { error: error.message }, status: status
        end
        controller.before_action { Announcement.refuse_unless_on }
        controller.include(Serving::CrossOrigin::Answers)
        controller.private_method_defined?(:blob_args) ? controller.prepend(self) : refuse_choices(controller)
      end

      # In a version of Rails without `blob_args`, tokens would be ignored and files would go to the default service.
      def self.refuse_choices(controller)
        controller.before_action do
          next unless params.key?(:service_token) || params.key?(:service_name)

          raise DirectUploadRefusedError,
                "This version of Active Storage has no DirectUploadsController#blob_args, so the service of a direct " \
                "upload cannot be chosen. Update encrypted_s3_service."
        end
      end
      private_class_method :refuse_choices

      private

      # A page of another origin has no session, and so no token for Rails' forgery protection. A request without
      # cookies needs none, because it does nothing in the name of a visitor.
      def verified_request?
        super || (request.cookies.empty? && Serving::CrossOrigin.listed?(request.get_header("HTTP_ORIGIN")))
      end

      def blob_args
        Description.require_object(params[:blob])
        arguments = Announcement.checked(super)
        service = direct_upload_service
        DirectUploads.refuse_plaintext(service) unless params.key?(:service_token)
        refuse_unstorable(service, arguments)
        service ? arguments.merge(service_name: service) : arguments
      end

      # The lifetime of a URL grows with the size of the file. A URL for a file that is too large would be valid for
      # years.
      def refuse_unstorable(service, arguments)
        service = service ? ActiveStorage::Blob.services.fetch(service) : ActiveStorage::Blob.service
        clients = ServiceParts.new(service).encrypted.map(&:client)
        clients.grep(KeylessClient).each(&:refuse)
        return if arguments[:byte_size].to_i <= Client::MAXIMUM_SIZE || clients.empty?

        raise DirectUploadTooLargeError, "The file is too large. At most #{Client::MAXIMUM_SIZE} bytes can be uploaded."
      end

      def direct_upload_service
        if params.key?(:service_token)
          DirectUploads.service_of(params[:service_token], tenant: direct_upload_tenant)
        elsif params.key?(:service_name)
          DirectUploads.listed_service(params[:service_name])
        end
      end

      # The tenant found by EncryptedS3Service::Controller, if it is included.
      def direct_upload_tenant = respond_to?(:s3_tenant, true) ? s3_tenant : CurrentTenant.get
    end
  end
end
