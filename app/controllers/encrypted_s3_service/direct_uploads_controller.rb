# frozen_string_literal: true

module EncryptedS3Service
  # Takes the files of direct uploads: encrypts and stores them while they arrive (as ActiveStorage::DiskController does
  # without encrypting).
  class DirectUploadsController < BaseController
    # The token is the permission, and Active Storage's JavaScript sends nothing else.
    skip_forgery_protection if respond_to?(:skip_forgery_protection)

    # The body is the file, whatever its type says: Rails would parse JSON, form data and the like, and hold them in
    # memory for it, when it logs the request's parameters.
    # @api private
    def process(*)
      request.set_header("action_dispatch.request.request_parameters", {})
      super
    end

    # Stores the file. Answers 204, or 404 to a token that is not valid, or 422 to a file that is not the announced one,
    # of which nothing is left then.
    # @return [void]
    def update
      token, service = token_and_service(Serving::Token::DIRECT_UPLOAD)
      return not_found unless token
      return refuse(422) unless announced?(token)

      service.upload(token[:key], request.body, checksum: token[:checksum])
      refuse(204)
    rescue ActiveStorage::IntegrityError
      refuse(422)
    end

    private

    # Without a checksum nobody would notice a file of other bytes, or one that ends too early.
    def announced?(token)
      token[:checksum].present? && token[:content_length] == request.content_length &&
        token[:content_type] == request.content_mime_type
    end
  end
end
