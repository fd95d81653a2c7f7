# frozen_string_literal: true

# Stores a file in the middle of a stream.
class TenantStreamsController < TenantController
  include ActionController::Live

  # The action waits here after the beginning of its answer.
  cattr_accessor :gate, default: Queue.new
  # The customer in Current when the stream ends.
  cattr_accessor :ended, default: []

  def show
    response.stream.write("begun\n")
    gate.pop
    blob = ActiveStorage::Blob.create_and_upload!(io: StringIO.new("streamed"), filename: "s.txt")
    response.stream.write("#{blob.service_name}\n")
  ensure
    ended << (Current.organisation&.name || "none")
    response.stream.close
  end
end
