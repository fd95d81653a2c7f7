# frozen_string_literal: true

require "active_storage"

module EncryptedS3Service
  module Serving
    # The file name at the end of a URL, for people and for programs that save the file under it. The response's
    # `Content-Disposition` has the full name from the token. The name in the path is short and plain, because proxies
    # truncate long URLs and alter or refuse some characters in a path.
    module AddressName
      # Maximum length in bytes, percent-encoded; a letter outside of ASCII takes six or nine of them.
      MOST = 120
      # Characters that arrive unchanged: letters of all scripts, digits, and these.
      PLAIN = /\A[\p{L}\p{M}\p{N} ._()+@,=!~-]+\z/
      # A file extension that is kept for any name.
      ENDING = /\A\.[A-Za-z0-9]{1,12}\z/
      private_constant :MOST, :PLAIN, :ENDING

      module_function

      # @param filename [ActiveStorage::Filename, String]
      # @return [String] the name itself if it is short and plain; otherwise `file` with the extension
      def for(filename)
        name = ActiveStorage::Filename.wrap(filename).to_s
        return name if name.match?(PLAIN) && !name.match?(/\A\.+\z/) && written(name).bytesize <= MOST

        ending = File.extname(name.delete("\0"))
        ending.match?(ENDING) ? "file#{ending}" : "file"
      end

      # The percent-encoded name.
      def written(name) = URI.encode_uri_component(name)
      private_class_method :written
    end
  end
end
