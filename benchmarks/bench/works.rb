# frozen_string_literal: true

require_relative "work"

module Bench
  # Everything that is done.
  module Works
    # A round's length and how many there are; the largest files need no more than three of theirs.
    SHORT = { seconds: 0.1, rounds: 2 }.freeze
    LONG = { seconds: 0.4, rounds: 5 }.freeze
    LARGEST = { seconds: 0.6, rounds: 3 }.freeze
    # One operation each.
    ONCE = { seconds: 0, rounds: 3 }.freeze
    MEBIBYTE = 1 << 20
    # Who takes part where the reference, which fetches the whole object over one connection, would take minutes.
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
      else small(quick) + files(quick).reject { |work| work.size > 256 * MEBIBYTE || work.kind == :md5 }
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
      sizes.to_a.product(%i[upload md5 download open]).map do |(size, length), kind|
        others = kind == :md5 ? { contenders: ["plain"] } : {}
        Work.new(kind: kind, size: size * MEBIBYTE, **length, **others)
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

    # With Rails around it. The plain service has no redirected link that ends at the server; it is measured by Rails'
    # proxy in both rows.
    # @api private
    def rails(quick)
      [64 << 10, MEBIBYTE].product(%i[attach blob_open redirected proxied]).map do |size, kind|
        Work.new(kind: kind, size: size, seconds: quick ? 0.3 : 1, rounds: quick ? 2 : 5, contenders: QUICK)
      end
    end
  end
end
