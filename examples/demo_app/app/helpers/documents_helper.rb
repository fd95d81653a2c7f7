# frozen_string_literal: true

# Helpers for the page.
module DocumentsHelper
  # Number of characters of a text that are shown instead of a picture.
  EXCERPT = 320

  # @param document [Document]
  # @return [ActiveSupport::SafeBuffer] the file on the page: a video or audio player, a picture, the beginning of a
  #   text, or else the extension of the file name
  def media(document)
    file = document.file
    if file.video? then film(file)
    elsif file.audio? then safe_join([ending(file), audio(file)])
    elsif file.representable? then picture(file)
    else
      excerpt(document) || ending(file)
    end
  end

  # @param file [ActiveStorage::Attached::One, ActiveStorage::VariantWithRecord, ActiveStorage::Preview]
  # @param options [Hash] of the route
  # @return [String] path of an encrypted file's link, which redirects to this application, where the file is decrypted.
  #   Rails' own service would redirect to S3, which the content security policy forbids; its files use Active Storage's
  #   proxy route
  def file_path(file, **options)
    return rails_storage_proxy_path(file, **options) unless EncryptedS3Service.encrypts?(file.blob.service_name)

    file.respond_to?(:variation) ? rails_representation_path(file, **options) : rails_blob_path(file, **options)
  end

  # @param bytes [Integer]
  # @return [String]
  def exact_size(bytes) = "#{number_with_delimiter(bytes)} #{"byte".pluralize(bytes)}"

  # @param bytes [Integer]
  # @return [String]
  def readable_size(bytes) = bytes < 1024 ? exact_size(bytes) : number_to_human_size(bytes)

  # @param blob [ActiveStorage::Blob]
  # @return [Array<String>] type and size, and dimensions and duration if known
  def facts(blob)
    width, height, duration = blob.metadata.values_at("width", "height", "duration")
    [blob.content_type, readable_size(blob.byte_size), ("#{width.to_i} × #{height.to_i}" if width && height),
     ("#{number_with_precision(duration, precision: 1, strip_insignificant_zeros: true)} s" if duration)].compact
  end

  private

  def film(file)
    poster = file_path(file.representation(:thumbnail)) if file.representable?
    tag.video(src: file_path(file), poster: poster, controls: true, preload: "metadata", playsinline: true,
              aria: { label: file.filename })
  end

  def audio(file)
    tag.audio(src: file_path(file), controls: true, preload: "metadata", aria: { label: file.filename })
  end

  def picture(file)
    image = image_tag(file_path(file.representation(:thumbnail)), alt: "Preview of #{file.filename}", loading: "lazy",
                                                                  decoding: "async")
    link_to(safe_join([image, ending(file)]), file_path(file))
  end

  # Visible below a picture only if the picture cannot be created.
  def ending(file)
    tag.span(file.filename.extension.presence&.first(5) || "file", class: "ending", aria: { hidden: true })
  end

  def excerpt(document)
    return unless document.file.text?

    text = document.beginning(EXCERPT)&.force_encoding(Encoding::UTF_8)&.scrub("")
    return if text.blank?

    tag.p("#{text}#{"…" if document.file.byte_size > EXCERPT}", class: "excerpt")
  end
end
