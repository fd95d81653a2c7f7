# frozen_string_literal: true

module EncryptedS3Service
  # Receives the files of direct uploads and encrypts and stores them while they arrive (ActiveStorage::DiskController
  # does the same without encryption).
  class DirectUploadsController < BaseController
    # The file differs from the announced one, or cannot be verified.
    rescue_from(ActiveStorage::IntegrityError, UnsupportedOperationError) { refuse(422) }
    rescue_from(TooLargeError) { refuse(413) }

    # The body is the file, for any content type. Otherwise Rails would read JSON or form data into memory and parse it
    # when it logs or wraps the request's parameters.
    # @api private
    def process(*)
      request.set_header("action_dispatch.request.request_parameters", {})
      request.set_header("action_dispatch.request.content_type", Mime::Type.lookup(Serving::ContentType::UNKNOWN))
      super
    end

    # Stores the file. Responds with 204; 404 when the token is not valid; 411 when the length of the body is unknown;
    # 413 when it is too large; 422 when it differs from the announced file. Nothing is stored for a refused request.
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
