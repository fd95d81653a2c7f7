# frozen_string_literal: true

require "active_storage"

module EncryptedS3Service
  module Serving
    # The last part of an address, for people and for programs that save a file under it. What the answer calls the file
    # stands in the token, so this need not say everything: proxies shorten long addresses, and some characters change
    # or are refused on their way in a path.
    module AddressName
      # Bytes, as a path writes them; one letter of many scripts takes six or nine of them.
      MOST = 120
      # What arrives as it was sent: letters of all scripts, digits, and these.
      PLAIN = /\A[\p{L}\p{M}\p{N} ._()+@,=!~-]+\z/
      # A file's ending that may be told of any name.
      ENDING = /\A\.[A-Za-z0-9]{1,12}\z/
      private_constant :MOST, :PLAIN, :ENDING

      module_function

      # @param filename [ActiveStorage::Filename, String]
      # @return [String] the name itself if it is short and plain; otherwise `file`, with its ending
      def for(filename)
        name = ActiveStorage::Filename.wrap(filename).to_s
        return name if name.match?(PLAIN) && !name.match?(/\A\.+\z/) && written(name).bytesize <= MOST

        ending = File.extname(name.delete("\0"))
        ending.match?(ENDING) ? "file#{ending}" : "file"
      end

      # As the path writes it.
      def written(name) = URI.encode_uri_component(name)
      private_class_method :written
    end
  end
end
