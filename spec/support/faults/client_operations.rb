# frozen_string_literal: true

require "json"
require "stringio"
require "tempfile"
require_relative "operation"
require_relative "world"

module Faults
  # Operations of the client, without Rails.
  module ClientOperations
    SMALL = 1000
    # Above `memory_limit`.
    LARGE = 3 << 20
    # Two parts, the last of which is small.
    PARTS = (5 << 20) + 1000

    module_function

    # @return [Array<Operation>]
    def all = uploads + downloads + ranges + questions + deletions + rewrites

    def uploads
      [upload("upload of a small file", SMALL), upload("upload in parts", PARTS),
       upload("replacing a small file", SMALL, old: SMALL), upload("replacing a file in parts", PARTS, old: SMALL),
       refused_upload]
    end

    def upload(name, size, old: nil)
      Operation.new(
        name: name,
        prepare: ->(world) { world.put("file", world.bytes(old, 2)) if old },
        run: lambda do |world|
          data = world.bytes(size)
          world.client.upload(world.key, StringIO.new(data), checksum: md5(data))
        end,
        right: lambda do |world, result|
          world.stored?("file", world.bytes(size)) && world.names.first == "file" && result.fetch(:bytes, size) == size
        end
      )
    end

    def refused_upload
      Operation.new(
        name: "upload in parts with a wrong checksum",
        run: lambda do |world|
          # Large enough that its first parts are stored when the checksum is compared.
          world.client.upload(world.key, StringIO.new(world.bytes(3 * PARTS)), checksum: md5("other"))
          raise "a wrong checksum was accepted"
        rescue EncryptedS3Service::ChecksumError
          {}
        end,
        right: ->(world, _) { world.names == [] },
        spares: ["AbortMultipartUpload of file"]
      )
    end

    def downloads
      [reading("download of a small file", SMALL) { |world| world.see(world.client.download(world.key)) },
       reading("download of a large file", LARGE) { |world| world.see(world.client.download(world.key)) },
       reading("download in chunks", 6 << 20) { |world| world.client.download(world.key) { |part| world.see(part) } },
       reading("download into a file", LARGE) { |world| download_file(world) },
       with_instruction_file]
    end

    def ranges
      [reading("a range of a small file", SMALL, 100...900) do |world|
         world.see(world.client.download_chunk(world.key, 100...900))
       end,
       reading("a range of a large file", LARGE, (1 << 20)...(2 << 20)) do |world|
         world.see(world.client.download_chunk(world.key, (1 << 20)...(2 << 20)))
       end,
       reading("reading step by step", LARGE) { |world| read_in_steps(world) }]
    end

    # @param part [Range] the part of the file that the operation returns
    def reading(name, size, part = 0.., settings: {}, prepare: nil, &run)
      Operation.new(name: name, settings: settings, run: run,
                    prepare: prepare || ->(world) { world.put("file", world.bytes(size)) },
                    expected: ->(world) { world.bytes(size).byteslice(part) },
                    right: ->(world, _) { world.seen == world.bytes(size).byteslice(part) })
    end

    def download_file(world)
      Tempfile.create("faults", binmode: true) do |file|
        world.client.download_file(world.key, file)
        file.rewind
        world.see(file.read)
      rescue EncryptedS3Service::Error
        # No byte of plaintext may be written before the whole object is authenticated.
        world.see("written: #{file.size} bytes") unless file.size.zero?
        raise
      end
    end

    def read_in_steps(world)
      reader = world.client.reader(world.key)
      while (chunk = reader.read(700_000))
        world.see(chunk)
      end
    ensure
      reader&.close
    end

    # The envelope in a file beside the object, as some of Amazon's clients write it.
    def with_instruction_file
      settings = { envelope_location: "instruction_file" }
      prepare = lambda do |world|
        world.put("file", world.bytes(SMALL))
        _status, headers, body = world.server.get(TestStore::BUCKET, world.key)
        envelope = headers.select { |name, _| name.start_with?("x-amz-meta-") }
        world.server.put(TestStore::BUCKET, world.key, body)
        world.server.put(TestStore::BUCKET, world.key("file.instruction"),
                         JSON.generate(envelope.transform_keys { |name| name.delete_prefix("x-amz-meta-") }))
      end
      reading("download with an instruction file", SMALL, settings: settings, prepare: prepare) do |world|
        world.see(world.client.download(world.key))
      end
    end

    def questions
      there = ->(world) { world.put("file", world.bytes(SMALL)) }
      [Operation.new(name: "exist?", prepare: there, run: ->(world) { { there: world.client.exist?(world.key) } },
                     right: ->(_, result) { result[:there] }),
       Operation.new(name: "stat", prepare: there, run: ->(world) { { size: world.client.stat(world.key).size } },
                     right: ->(_, result) { result[:size] == SMALL })]
    end

    def deletions
      [Operation.new(name: "delete", prepare: ->(world) { world.put("file", world.bytes(SMALL)) },
                     run: ->(world) { world.client.delete(world.key) || {} },
                     right: ->(world, _) { world.names == [] }),
       Operation.new(name: "delete_prefixed",
                     prepare: ->(world) { %w[a b c].each { |name| world.put(name, world.bytes(SMALL)) } },
                     run: ->(world) { world.client.delete_prefixed(world.folder) || {} },
                     right: ->(world, _) { world.names == [] })]
    end

    def rewrites
      [compose, rotation("rotate"), rotation("rotate with verify", verify: true),
       rotation("rotate in parts", size: PARTS, largest_copy: 5 << 20), rebinding, indexing,
       reencryption("encrypt again", SMALL), reencryption("encrypt again in parts", PARTS)]
    end

    def compose
      Operation.new(
        name: "compose",
        prepare: ->(world) { %w[a b].each_with_index { |name, seed| world.put(name, world.bytes(SMALL, seed)) } },
        run: ->(world) { world.client.compose([world.key("a"), world.key("b")], world.key) },
        right: ->(world, _) { world.stored?("file", world.bytes(SMALL, 0) + world.bytes(SMALL, 1)) }
      )
    end

    def rotation(name, size: SMALL, **options)
      Operation.new(
        # The store answers after it has copied the part. On a busy machine that takes longer.
        name: name, settings: size > LARGE ? { **World::LATER, http_read_timeout: 8 } : World::LATER,
        prepare: ->(world) { world.put("file", world.bytes(size)) },
        run: ->(world) { { outcome: world.client.rotate(world.key, **options).outcome } },
        right: lambda do |world, result|
          # If only the answer was lost, the retry finds the key already current.
          %i[rotated current].include?(result.fetch(:outcome, :rotated)) &&
            world.stored?("file", world.bytes(size), World::LATER[:encryption_key])
        end
      )
    end

    def rebinding
      Operation.new(
        name: "rebind",
        prepare: lambda do |world|
          world.put("elsewhere", world.bytes(SMALL))
          _status, headers, body = world.server.get(TestStore::BUCKET, world.key("elsewhere"))
          world.server.put(TestStore::BUCKET, world.key, body, headers.select { |name, _| name[/\Ax-amz-meta-/] })
        end,
        run: ->(world) { { rebound: world.client.rebind(world.key, from: world.key("elsewhere")) } },
        right: ->(world, _) { world.direct.download(world.key) == world.bytes(SMALL) rescue false } # rubocop:disable Style/RescueModifier
      )
    end

    def indexing
      Operation.new(
        name: "index",
        prepare: ->(world) { put_without_map(world) },
        run: ->(world) { { outcome: world.client.index(world.key) } },
        right: lambda do |world, result|
          %i[stored present].include?(result.fetch(:outcome, :stored)) && world.names == %w[file file.segments] &&
            world.stored?("file", world.bytes(LARGE))
        end
      )
    end

    # A large file as an older version stored it.
    def put_without_map(world)
      world.put("file", world.bytes(LARGE))
      world.server.delete(TestStore::BUCKET, world.key("file.segments"))
    end

    def reencryption(name, size)
      Operation.new(
        name: name, settings: { **World::LATER, commitment_policy: "require_encrypt_allow_decrypt" },
        prepare: ->(world) { world.put("file", world.bytes(size)) },
        run: ->(world) { world.client.reencrypt(world.key, checksum: md5(world.bytes(size))) },
        right: ->(world, _) { world.stored?("file", world.bytes(size), World::LATER[:encryption_key]) }
      )
    end

    def md5(data) = [OpenSSL::Digest.digest("MD5", data)].pack("m0")
  end
end
