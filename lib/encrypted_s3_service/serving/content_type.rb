# frozen_string_literal: true

module EncryptedS3Service
  module Serving
    # MIME types as clients write them (RFC 9110, section 8.3.1; RFC 2045). One and the same file is announced as
    # `audio/webm;codecs=opus`, `Audio/WebM` or `"audio/webm"`, and browsers write what they send in their own way.
    module ContentType
      # What a file is when nobody says, or says what is no type.
      UNKNOWN = "application/octet-stream"
      TOKEN = /[A-Za-z0-9!\#$&^_.+'*`|~%-]+/
      # A whole header's value: type, subtype, parameters. Nothing else may become a header of an answer.
      VALID = %r{\A#{TOKEN}/#{TOKEN}(?:[ \t]*;[ \t]*#{TOKEN}=(?:#{TOKEN}|"[^"\\[:cntrl:]]*"))*\z}
      # Other names of the same type, without the `x-` that many have had.
      SYNONYMS = {
        "image/jpg" => "image/jpeg", "image/pjpeg" => "image/jpeg", "image/ms-bmp" => "image/bmp",
        "image/vnd.microsoft.icon" => "image/icon", "image/ico" => "image/icon", "image/svg" => "image/svg+xml",
        "image/tif" => "image/tiff", "image/photoshop" => "image/vnd.adobe.photoshop",
        "application/photoshop" => "image/vnd.adobe.photoshop",
        "audio/wave" => "audio/wav", "audio/vnd.wave" => "audio/wav", "audio/pn-wav" => "audio/wav",
        "audio/mp3" => "audio/mpeg", "audio/mpeg3" => "audio/mpeg", "audio/mpg" => "audio/mpeg",
        "audio/m4a" => "audio/mp4", "audio/mp4a-latm" => "audio/mp4", "audio/mid" => "audio/midi",
        "audio/opus" => "audio/ogg", "application/ogg" => "audio/ogg", "audio/aif" => "audio/aiff",
        "video/m4v" => "video/mp4", "video/avi" => "video/msvideo", "video/vnd.avi" => "video/msvideo",
        "video/mpg" => "video/mpeg",
        "application/javascript" => "text/javascript", "application/ecmascript" => "text/javascript",
        "text/ecmascript" => "text/javascript",
        "text/xml" => "application/xml", "text/json" => "application/json", "text/rtf" => "application/rtf",
        "text/yaml" => "application/yaml", "application/csv" => "text/csv",
        "text/comma-separated-values" => "text/csv", "application/markdown" => "text/markdown",
        "application/zip-compressed" => "application/zip", "application/rar-compressed" => "application/vnd.rar",
        "application/rar" => "application/vnd.rar", "application/gunzip" => "application/gzip",
        "application/gzip-compressed" => "application/gzip", "text/pdf" => "application/pdf",
        "application/font-woff" => "font/woff", "application/font-ttf" => "font/ttf",
        "application/font-otf" => "font/otf", "application/vnd.ms-word" => "application/msword",
        "application/excel" => "application/vnd.ms-excel", "application/msexcel" => "application/vnd.ms-excel",
        "application/mspowerpoint" => "application/vnd.ms-powerpoint"
      }.freeze
      private_constant :TOKEN, :VALID, :SYNONYMS

      module_function

      # @param value [Object] as somebody wrote it
      # @return [String] the one name of the type, without parameters; {UNKNOWN} for what is none
      def normal(value)
        essence = value.to_s.scrub("?").split(/[;,]/, 2).first.to_s.delete(%("' \t)).downcase
        type, subtype = essence.split("/", 2)
        return UNKNOWN unless essence.match?(%r{\A#{TOKEN}/#{TOKEN}\z})

        plain = "#{type}/#{subtype.delete_prefix("x-")}"
        SYNONYMS.fetch(plain, plain)
      end

      # @param announced [String, nil] nothing, or nothing that is a type, is contradicted by none
      # @param arrived [String, nil] the header of the request with the file
      # @return [Boolean] whether both say the same
      def same?(announced, arrived)
        [UNKNOWN, normal(arrived)].include?(normal(announced))
      end

      # @param value [String, nil]
      # @return [String] the same, if it may stand in an answer's header; otherwise {UNKNOWN}
      def safe(value)
        text = value.to_s.gsub(/\A[ \t]+|[ \t]+\z/, "")
        text.match?(VALID) ? text : UNKNOWN
      rescue ArgumentError
        # Bytes that are no text.
        UNKNOWN
      end

      # @param value [String, nil]
      # @return [Boolean] whether it is played: sound or film
      def media?(value) = normal(value).start_with?("audio/", "video/")
    end
  end
end
