# frozen_string_literal: true

module Demo
  # Checks what links do besides whole downloads: ranges, as players request them, conditional requests, and thumbnails.
  class Links
    # The first bytes of pictures: WebP for thumbnails, PNG and JPEG for their originals.
    PICTURES = ["RIFF", "\x89PNG".b, "\xFF\xD8\xFF".b].freeze
    private_constant :PICTURES

    # @param workplace [Workplace]
    # @param visitor [Visitor]
    # @param aws [Aws::S3::EncryptionV2::Client]
    def initialize(workplace, visitor, aws)
      @workplace = workplace
      @visitor = visitor
      @aws = aws
    end

    # @param sample [Sample]
    # @param document [Document]
    # @param checks [Checks]
    # @return [void]
    def check(sample, document, checks)
      path = urls.rails_blob_path(document.file, only_path: true)
      check_ranges(sample, path, checks)
      check_versions(path, checks)
      check_thumbnail(document, checks) if document.file.representable?
    end

    private

    def urls = Rails.application.routes.url_helpers

    def check_ranges(sample, path, checks)
      name = "link, ranges: at the start, in the middle, the last bytes, open-ended; refused beyond the end"
      checks.attempt(name) do
        checks.add(name, problem_of_ranges(sample, path))
      end
    end

    def problem_of_ranges(sample, path)
      ranges(sample.size).each do |range, bytes|
        answer = @visitor.get(path, "range" => range)
        return "#{range} has a wrong answer" unless right?(answer, sample, bytes)
      end
      beyond = @visitor.get(path, "range" => "bytes=#{sample.size}-").code
      "the answer to a range beyond the end is #{beyond}" unless beyond == "416"
    end

    def ranges(size)
      middle = size / 2
      { "bytes=0-99" => 0..99, "bytes=#{middle}-#{middle + 99}" => middle..(middle + 99),
        "bytes=-100" => (size - 100)..(size - 1), "bytes=#{size - 50}-" => (size - 50)..(size - 1) }
    end

    def right?(answer, sample, bytes)
      answer.code == "206" && answer["content-range"] == "bytes #{bytes.begin}-#{bytes.end}/#{sample.size}" &&
        answer.body.b == File.binread(sample.path, bytes.size, bytes.begin)
    end

    def check_versions(path, checks)
      name = "link, again: 304 for a browser that has the file; 404 for a changed link"
      checks.attempt(name) do
        address = @visitor.address(path)
        etag = @visitor.get(address, "range" => "bytes=0-0")["etag"]
        changed = address.sub(/--./) { |found| found == "--x" ? "--y" : "--x" }
        codes = [@visitor.get(address, "if-none-match" => etag).code, @visitor.get(changed).code]
        checks.add(name, ("the answers are #{codes.join(" and ")}" unless codes == %w[304 404]))
      end
    end

    def check_thumbnail(document, checks)
      kind = { "i" => "a variant", "v" => "a picture of the film", "a" => "a preview of the first page" }
      name = "thumbnail (#{kind.fetch(document.file.content_type[0])}): served by its link, encrypted in the bucket"
      checks.attempt(name) do
        path = urls.rails_representation_path(document.file.representation(:thumbnail), only_path: true)
        checks.add(name, problem_of_thumbnail(@visitor.get(path), document))
      end
    end

    def problem_of_thumbnail(answer, document)
      return "the application answered #{answer.code}" unless answer.code == "200"
      return "it is not a picture" unless answer.body.b.start_with?(*PICTURES)

      blobs = document.reload.made_from_it.keys
      return "the bucket does not have it" unless blobs.any? { |blob| opened(blob) == answer.body.b }

      open_to_all = blobs.reject { |blob| encrypted?(blob) }
      "#{open_to_all.first.key} is not encrypted" if open_to_all.any?
    end

    # The file, decrypted by Amazon's own client.
    def opened(blob) = @aws.get_object(bucket: @workplace.bucket, key: blob.key).body.read.b

    def encrypted?(blob)
      _, headers, body = @workplace.server.get(@workplace.bucket, blob.key)
      headers.key?("x-amz-meta-x-amz-key-v2") && body.bytesize == blob.byte_size + BucketObject::TAG &&
        !body.b.start_with?(*PICTURES)
    end
  end
end
