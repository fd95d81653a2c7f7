# frozen_string_literal: true

require_relative "../contenders"

module Bench
  # Minimum size of a large file in bytes.
  LARGE = 8 << 20

  # A kind of operation that is measured.
  #
  # - `kind`: a key of WORDS
  # - `size`: bytes of the object
  # - `threads`: the number of threads that do it at the same time
  # - `seconds`: the minimum duration of a round; the work is repeated until then
  # - `rounds`: the number of rounds for the medians
  # - `cold`: whether each round is one operation in a process that has read nothing of the object before
  # - `writer`: the contender that writes the object for all that can decrypt it; nil means that each reads its own
  # - `digest`: the digest of the uploads' checksums, a key of DIGESTS
  # - `contenders`: those that take part
  Work = Data.define(:kind, :size, :threads, :seconds, :rounds, :cold, :writer, :digest, :contenders) do
    # With the default values of most works.
    def initialize(kind:, size:, seconds:, rounds:, threads: 1, cold: false, writer: nil, digest: "md5",
                   contenders: Contenders::ALL.keys)
      super
    end

    # @return [String] such as "8 MiB up" or "1 KiB down, 8 threads"
    def title
      words = format(Work::WORDS.fetch(kind), amount: amount, digest: Work::DIGESTS.fetch(digest))
      words += ", #{Work::DIGESTS.fetch(digest)}" unless digest == "md5" || kind == :digest
      words += ", #{threads} threads" if threads > 1
      words += ", Amazon's object" if writer
      cold ? "#{words}, first time" : words
    end

    # @return [Boolean] whether the cost per request exceeds that per byte
    def small? = size < LARGE && %i[upload download].include?(kind)

    # @return [Boolean] whether it processes a whole large file
    def large? = size >= LARGE && %i[upload download open].include?(kind)

    # @return [Boolean] whether a Rails application does it
    def rails? = %i[attach blob_open redirected proxied].include?(kind)

    # @return [Boolean] whether the object must exist before
    def reads? = %i[download open range first].include?(kind)

    # @param contender [String]
    # @return [String] prefix of the keys of the objects, of which each thread has one
    def key(contender)
      return "#{contender}/#{title.tr(" ,'!", "-")}" unless reads?

      "#{owner(contender)}/#{size}"
    end

    # @param contender [String]
    # @return [String] the contender that stores the object for this one
    def owner(contender) = writer && contender != "plain" ? writer : contender

    # @return [String] the size, such as "8 MiB"
    def amount
      unit, bytes = { "GiB" => 1 << 30, "MiB" => 1 << 20, "KiB" => 1 << 10 }.find { |_, scale| size >= scale }
      "#{size / bytes} #{unit}"
    end
  end

  # Names of the kinds of works.
  Work::WORDS = {
    upload: "%{amount} up", download: "%{amount} down", open: "%{amount} open", range: "64 KiB of %{amount}",
    first: "first chunk of %{amount}", digest: "%{digest} of %{amount} alone",
    attach: "%{amount} create_and_upload!", blob_open: "%{amount} blob.open",
    redirected: "%{amount} by a redirected link", proxied: "%{amount} by Rails' proxy"
  }.freeze

  # Names of the digests, by their names in OpenSSL.
  Work::DIGESTS = { "md5" => "MD5", "sha256" => "SHA-256" }.freeze
end
