# frozen_string_literal: true

module EncryptedS3Service
  # Takes the files of direct uploads: encrypts and stores them while they arrive (as ActiveStorage::DiskController does
  # without encrypting).
  class DirectUploadsController < BaseController
    # What becomes of a file that is not what was announced, or not to be had.
    rescue_from(ActiveStorage::IntegrityError, UnsupportedOperationError) { refuse(422) }
    rescue_from(TooLargeError) { refuse(413) }

    # The body is the file, whatever its type says: Rails would parse JSON, form data and the like, and hold them in
    # memory for it, when it logs the request's parameters or wraps them.
    # @api private
    def process(*)
      request.set_header("action_dispatch.request.request_parameters", {})
      request.set_header("action_dispatch.request.content_type", Mime::Type.lookup(Serving::ContentType::UNKNOWN))
      super
    end

    # Stores the file. Answers 204, or 404 to a token that is not valid, 411 to a body of unknown length, 413 to one
    # that is too large, 422 to a file that is not the announced one. Of what is refused nothing is left.
    # @return [void]
    def update
      token, service = token_and_service(Serving::Token::DIRECT_UPLOAD, at: DirectUploads::Arrival.began_at(request))
      return not_found unless token && EncryptedS3Service.settings.direct_uploads

      arrival = DirectUploads::Arrival.new(request, token)
      refusal = arrival.refusal
      return refuse(refusal) if refusal

      Serving::Connections.release
      arrival.store(service)
      refuse(204)
    end
  end
end
