# frozen_string_literal: true

require "zlib"

module Kills
  # Files whose content is generated from their names, so that every row determines its object.
  module Files
    # Stored in one request, in one request with a segment map, and in parts.
    SIZES = [2_000, 1_500_000, 6_000_000].freeze

    module_function

    # @param turn [Integer]
    # @return [String] a name that contains the size
    def name(turn) = "#{SecureRandom.hex(4)}-#{SIZES[turn % SIZES.size]}.bin"

    # @param name [String]
    # @return [String] the content of the file
    def content(name)
      size = name[/-(\d+)\.bin\z/, 1].to_i
      Random.new(Zlib.crc32(name)).bytes(size)
    end

    # @return [Hash{Symbol => Object}] columns of the row
    def columns(name, service_name)
      data = content(name)
      { key: SecureRandom.alphanumeric(28).downcase, filename: name, content_type: "application/octet-stream",
        service_name: service_name, byte_size: data.bytesize, checksum: OpenSSL::Digest.base64digest("MD5", data) }
    end

    # Stores files and inserts their rows.
    # @param sizes [Array<Integer>] an index of {SIZES} for each file
    def create(sizes, service_name, stored_in: service_name)
      service = ActiveStorage::Blob.services.fetch(stored_in)
      rows = sizes.map do |turn|
        columns(name = name(turn), service_name).tap { |row| service.upload(row[:key], StringIO.new(content(name))) }
      end
      ActiveStorage::Blob.insert_all!(rows.map { |row| { **row, metadata: "{}", created_at: Time.current } })
    end
  end
end
