# frozen_string_literal: true

require "active_storage/version"
require_relative "work"

module Bench
  # All works.
  module Works
    # Duration and number of rounds. Three rounds are enough for the largest files.
    SHORT = { seconds: 0.1, rounds: 2 }.freeze
    LONG = { seconds: 0.4, rounds: 5 }.freeze
    LARGEST = { seconds: 0.6, rounds: 3 }.freeze
    # One operation each.
    ONCE = { seconds: 0, rounds: 3 }.freeze
    MEBIBYTE = 1 << 20
    # Without the reference, where it would take minutes because it downloads whole objects over one connection.
    QUICK = %w[gem plain].freeze
    private_constant :SHORT, :LONG, :LARGEST, :ONCE, :MEBIBYTE, :QUICK

    module_function

    # @param server [String] of Options::SERVERS
    # @param quick [Boolean] small files and few rounds
    # @return [Array<Work>]
    def on(server, quick:)
      case server
      when "memory" then small(quick) + files(quick) + parts(quick, Contenders::ALL.keys)
      when "line" then uploads_at_latency(quick) + downloads_at_latency(quick) + parts(quick, QUICK)
      when "rails" then rails(quick)
      else small(quick) + files(quick).reject { |work| work.size > 256 * MEBIBYTE || work.contenders.one? }
      end
    end

    # @api private
    def small(quick)
      [1, 8].product([1 << 10, 64 << 10], %i[upload download]).map do |threads, size, kind|
        Work.new(kind: kind, size: size, threads: threads, **(quick ? SHORT : LONG))
      end
    end

    # @api private
    def files(quick)
      sizes = { 8 => LONG, 256 => LARGEST, 1024 => LARGEST }
      sizes = { 8 => SHORT, 64 => SHORT } if quick
      sizes.flat_map do |mebibytes, length|
        file = { size: mebibytes * MEBIBYTE, **length }
        [Work.new(kind: :upload, **file), Work.new(kind: :digest, **file, contenders: ["plain"]),
         Work.new(kind: :upload, **file, digest: "sha256", contenders: ["gem"]),
         Work.new(kind: :digest, **file, digest: "sha256", contenders: ["plain"]),
         Work.new(kind: :download, **file), Work.new(kind: :open, **file)]
      end
    end

    # Reading a part of a large object, and the beginning of it.
    # @api private
    def parts(quick, contenders)
      size = (quick ? 64 : 1024) * MEBIBYTE
      many = { size: size, **(quick ? SHORT : LONG) }
      once = { size: size, **ONCE, cold: true }
      [Work.new(kind: :range, **many, contenders: contenders),
       Work.new(kind: :range, **once, contenders: contenders),
       Work.new(kind: :first, **once, contenders: contenders),
       Work.new(kind: :range, **many, contenders: QUICK, writer: "reference"),
       Work.new(kind: :range, **once, contenders: QUICK, writer: "reference")]
    end

    # @api private
    def uploads_at_latency(quick)
      one, several = quick ? [64, 16] : [256, 64]
      [Work.new(kind: :upload, size: 8 * MEBIBYTE, **ONCE),
       Work.new(kind: :upload, size: one * MEBIBYTE, **ONCE, contenders: QUICK),
       Work.new(kind: :upload, size: several * MEBIBYTE, threads: 8, **ONCE, contenders: QUICK)]
    end

    # @api private
    def downloads_at_latency(quick)
      [8, quick ? 64 : 256].map do |size|
        Work.new(kind: :download, size: size * MEBIBYTE, **ONCE)
      end
    end

    # In a Rails application. No redirected link of the plain service ends at the application, so it is measured with
    # Rails' proxy in both rows.
    # @api private
    def rails(quick)
      many = { seconds: quick ? 0.3 : 1, rounds: quick ? 2 : 5 }
      small = [64 << 10, MEBIBYTE].product(%i[attach blob_open redirected proxied]).map do |size, kind|
        Work.new(kind: kind, size: size, **many, contenders: QUICK)
      end
      large = { kind: :attach, size: (quick ? 64 : 256) * MEBIBYTE, **ONCE }
      small << Work.new(**large, contenders: QUICK)
      small << Work.new(**large, digest: "sha256", contenders: ["gem"]) if service_chooses_digest?
      small
    end

    # Whether this Rails asks the service for checksums of new files.
    # @api private
    def service_chooses_digest? = ActiveStorage.version >= Gem::Version.new("8.2.0.alpha")
  end
end
