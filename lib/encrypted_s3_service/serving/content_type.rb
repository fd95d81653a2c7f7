# frozen_string_literal: true

module EncryptedS3Service
  module Serving
    # Content types as clients write them (RFC 9110, section 8.3.1; RFC 2045). The same file can be announced as
    # `audio/webm;codecs=opus`, `Audio/WebM` or `"audio/webm"`, and browsers normalize the header of the upload.
    module ContentType
      # The type of a file without a valid type.
      UNKNOWN = "application/octet-stream"
      TOKEN = /[A-Za-z0-9!\#$&^_.+'*`|~%-]+/
      # A complete header value: type, subtype, parameters. Nothing else may become a response header.
      VALID = %r{\A#{TOKEN}/#{TOKEN}(?:[ \t]*;[ \t]*#{TOKEN}=(?:#{TOKEN}|"[^"\\[:cntrl:]]*"))*\z}
      # Other names of the same type, without the former `x-` prefix.
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
      # Maximum bytes of a value that is parsed. A row can contain a value of any length.
      LONGEST = 1024
      private_constant :TOKEN, :VALID, :SYNONYMS, :LONGEST

      module_function

      # @param value [Object] a content type as a client wrote it
      # @return [String] the canonical name of the type, without parameters; {UNKNOWN} when it is not a type
      def normal(value)
        essence = value.to_s.byteslice(0, LONGEST).scrub("?").split(/[;,]/, 2).first.to_s.delete(%("' \t)).downcase
        type, subtype = essence.split("/", 2)
        return UNKNOWN unless essence.match?(%r{\A#{TOKEN}/#{TOKEN}\z})

        plain = "#{type}/#{subtype.sub(/\Ax-(?=.)/, "")}"
        SYNONYMS.fetch(plain, plain)
      end

      # @param announced [String, nil] the announced type; nil or an invalid type agrees with every type
      # @param arrived [String, nil] the Content-Type header of the request with the file
      # @return [Boolean] whether both are the same type
      def same?(announced, arrived)
        [UNKNOWN, normal(arrived)].include?(normal(announced))
      end

      # @param value [String, nil]
      # @return [String] the value if it is a valid header value of a sensible length; the type alone if only its
      #   parameters are invalid, as in a browser's `video/webm;codecs=vp9,opus`; otherwise {UNKNOWN}
      def safe(value)
        return UNKNOWN if value.to_s.bytesize > LONGEST

        text = value.to_s.gsub(/\A[ \t]+|[ \t]+\z/, "")
        return text if text.match?(VALID)
        return UNKNOWN if text.match?(/[[:cntrl:]]/)

        type = text.split(";", 2).first.to_s.rstrip
        type.match?(VALID) ? type : UNKNOWN
      rescue ArgumentError
        # Invalid bytes.
        UNKNOWN
      end

      # @param value [String, nil]
      # @return [Boolean] whether it is audio or video
      def media?(value) = normal(value).start_with?("audio/", "video/")
    end
  end
end
