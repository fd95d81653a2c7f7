# frozen_string_literal: true

require "erb"
require "openssl"

module Demo
  # The object of one file in the bucket, read with an ordinary S3 client.
  class BucketObject
    # Metadata of Amazon's EncryptionV2 envelope, and the entry that binds an object to its key in the bucket. There
    # must be no other.
    ENVELOPE = %w[x-amz-cek-alg x-amz-iv x-amz-key-v2 x-amz-matdesc x-amz-tag-len x-amz-wrap-alg
                  x-amz-unencrypted-content-length encrypted-s3-place].freeze
    # Bytes of the authentication tag.
    TAG = 16
    # Limit of bytes to search, from which the number of pieces of a file follows.
    EFFORT = 5_000_000_000
    WINDOW = 1 << 20
    PREFIX = "x-amz-meta-"
    private_constant :EFFORT, :WINDOW, :PREFIX

    # @param workplace [Workplace]
    # @param sample [Sample] the stored file
    # @param blob [ActiveStorage::Blob] its blob
    def initialize(workplace, sample, blob)
      @workplace = workplace
      @sample = sample
      @blob = blob
      status, @headers, @beginning = workplace.server.get(workplace.bucket, blob.key, { "range" => "bytes=0-31" })
      raise Workplace::Error, "the bucket answered #{status} for #{blob.key}" unless status == 206
    end

    # @return [Hash{String => String}] the facts to print
    def facts
      { "object key" => @blob.key, "content type" => @headers["content-type"],
        "size" => "#{Units.exact(size)} bytes (the file has #{Units.exact(@sample.size)})",
        "first bytes" => @beginning.unpack1("H*").scan(/../).join(" "),
        **metadata.transform_values { |value| value.size > 64 ? "#{value[0, 63]}…" : value } }
    end

    # @param checks [Checks]
    # @return [void]
    def check(checks)
      checks.add("size: the file and a tag of #{TAG} bytes", problem_of_size)
      checks.add("metadata: only the envelope's #{metadata.size} entries", problem_of_metadata)
      checks.add("type: not in key, headers or metadata", problem_of(@sample.content_type))
      checks.add("checksums of the contents: not in key, headers or metadata", problem_of(*checksums))
      check_body(checks)
    end

    private

    def check_body(checks)
      pieces = @sample.pieces(piece_count)
      found = search(pieces + names)
      checks.add("contents: none of #{Units.exact(pieces.size)} pieces of 16 bytes of the file is in the body",
                 ("#{(found & pieces).first.inspect} is" if found.intersect?(pieces)))
      checks.add("file name: not in key, headers, metadata or body", problem_of_name(found))
    end

    def size = Integer(@headers["content-range"][%r{/(\d+)\z}, 1])

    def metadata
      entries = @headers.select { |name, _| name.start_with?(PREFIX) }
      entries.transform_keys { |name| name.delete_prefix(PREFIX) }.sort.to_h
    end

    def problem_of_size
      "it has #{size} bytes, not #{@sample.size + TAG}" unless size == @sample.size + TAG
    end

    def problem_of_metadata
      others = metadata.keys - ENVELOPE
      missing = %w[x-amz-cek-alg x-amz-iv x-amz-key-v2 encrypted-s3-place] - metadata.keys
      return "#{others.join(", ")} is unexpected" if others.any?

      "#{missing.join(", ")} is missing" if missing.any?
    end

    def problem_of_name(found)
      inside = found & names
      inside.any? ? "#{inside.first} is in the body" : problem_of(*names)
    end

    # Compares without case, because header values and the key may change it.
    def problem_of(*words)
      text = [@blob.key, *@headers.to_a.flatten].join("\n").b.downcase
      word = words.find { |candidate| text.include?(candidate.b.downcase) }
      "#{word.inspect} was found" if word
    end

    # The name, with and without its extension, and both as encoded in headers.
    def names
      whole = @sample.filename
      words = [whole, File.basename(whole, ".*")]
      (words + words.map { |word| ERB::Util.url_encode(word) } + words.map { |word| [word].pack("m0").delete("=") })
        .map(&:b).uniq
    end

    def checksums
      digest = OpenSSL::Digest::MD5.file(@sample.path)
      [digest.hexdigest, digest.base64digest, @sample.sha256, [[@sample.sha256].pack("H*")].pack("m0")]
    end

    def piece_count = (EFFORT / @sample.size).clamp(4, [@sample.size / 16, 4096].min)

    # Searches the body for all the words at once, with only a window of it in memory.
    # @return [Array<String>] the words that were found
    def search(words)
      keep = words.map(&:bytesize).max - 1
      window = String.new(encoding: Encoding::BINARY)
      found = []
      each_chunk do |chunk, last|
        window << chunk
        next unless last || window.bytesize >= WINDOW

        found |= words.select { |word| window.include?(word) }
        window = window.byteslice(-keep..) || window
      end
      found
    end

    def each_chunk
      remaining = size
      @workplace.aws.get_object(bucket: @workplace.bucket, key: @blob.key) do |chunk|
        remaining -= chunk.bytesize
        yield chunk, remaining.zero?
      end
      raise Workplace::Error, "#{remaining} bytes of #{@blob.key} are missing" unless remaining.zero?
    end
  end
end
