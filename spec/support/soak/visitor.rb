# frozen_string_literal: true

require "json"
require "net/http"

module Soak
  # A client that stores files of mixed sizes, reads them whole and in ranges, rotates the keys of some, and deletes
  # them.
  class Visitor
    # Stored in one request, in one request with a segment map, and in parts.
    SIZES = [2_000, 60_000, 700_000, 3_000_000, 20_000_000].freeze
    # Relative frequency of each of {SIZES}.
    WEIGHTS = [40, 30, 20, 8, 2].freeze
    # Additional code for the application of the cluster.
    SETUP = <<~'RUBY'
      rotate = lambda do |blob|
        ActiveStorage::Blob.services.fetch(:rotated).client.rotate(blob.key)
        blob.update_columns(service_name: "rotated")
      end
      purge = ->(blob) { blob.attachments.any? ? blob.attachments.each(&:purge) : blob.purge }
      actions = { "/soak/rotate" => rotate, "/soak/purge" => purge }
      rails = application
      application = lambda do |request|
        action = actions[request["PATH_INFO"]] or next rails.call(request)

        Rails.application.executor.wrap do
          action.call(ActiveStorage::Blob.find_by!(key: request["QUERY_STRING"]))
        end
        [200, {}, []]
      end
    RUBY

    # @return [Hash{String => Integer}] number of requests by kind
    attr_reader :done

    # @param cluster [PumaCluster]
    # @param seed [Integer]
    def initialize(cluster, seed)
      @cluster = cluster
      @random = Random.new(seed)
      @done = Hash.new(0)
    end

    # @param deadline [Float] on the monotonic clock
    # @return [self]
    # @raise [RuntimeError] if an answer is wrong
    def run(deadline)
      @cluster.connect { |http| visit(http) } while Process.clock_gettime(Process::CLOCK_MONOTONIC) < deadline
      self
    end

    private

    def visit(http)
      data = @random.bytes(size)
      key, path = store(http, data)
      read(http, path, data)
      @random.rand(3).times { read_range(http, path, data) }
      if @random.rand < 0.3
        act(http, "rotate", key)
        read(http, path, data)
      end
      act(http, "purge", key)
    end

    def size
      at = @random.rand(WEIGHTS.sum)
      SIZES[WEIGHTS.index { |weight| (at -= weight).negative? }]
    end

    # @return [Array(String, String)] key and path
    def store(http, data)
      form = Net::HTTP::Post.new("/documents")
      form.set_form([["file", StringIO.new(data), { filename: "a.bin", content_type: "application/x-soak" }]],
                    "multipart/form-data")
      JSON.parse(answer(http, form, 200, "uploads").body).values_at("key", "path")
    end

    def read(http, path, data)
      body = answer(http, Net::HTTP::Get.new(path), 200, "downloads").body
      raise "other bytes were read" unless body.b == data
    end

    def read_range(http, path, data)
      first = @random.rand(data.bytesize)
      last = [first + @random.rand(200_000), data.bytesize - 1].min
      request = Net::HTTP::Get.new(path, "range" => "bytes=#{first}-#{last}")
      raise "other bytes were read" unless answer(http, request, 206, "ranges").body.b == data.byteslice(first..last)
    end

    def act(http, name, key) = answer(http, Net::HTTP::Post.new("/soak/#{name}?#{key}"), 200, name)

    def answer(http, request, status, name)
      response = http.request(request)
      unless response.code == status.to_s
        raise "#{request.path} answered #{response.code}: #{response.body.to_s[0, 500]}"
      end

      @done[name] += 1
      response
    end
  end
end
