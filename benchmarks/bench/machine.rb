# frozen_string_literal: true

require "active_storage/version"
require "etc"

module Bench
  # Facts about the machine of the measurements, without details that identify its owner.
  module Machine
    module_function

    # @return [Hash{String => String}]
    def facts
      { "Processor" => "#{processor}, #{Etc.nprocessors} cores", "Memory" => memory,
        "System" => Etc.uname.values_at(:sysname, :machine).join(" "),
        "Ruby" => RUBY_VERSION, "Rails" => ActiveStorage.version.to_s,
        "aws-sdk-s3" => Gem.loaded_specs["aws-sdk-s3"].version.to_s,
        "OpenSSL" => OpenSSL::OPENSSL_LIBRARY_VERSION[/[\d.]+\w*/], "Date" => Time.now.utc.strftime("%Y-%m-%d") }
    end

    # @api private
    def processor = read("/proc/cpuinfo", /^model name\s*:\s*(.+)$/)

    # @api private
    def memory
      kibibytes = read("/proc/meminfo", /^MemTotal:\s+(\d+) kB/)
      kibibytes.match?(/\A\d+\z/) ? "#{(kibibytes.to_f / (1 << 20)).round} GiB" : kibibytes
    end

    # @api private
    def read(path, pattern)
      File.read(path)[pattern, 1] || "unknown"
    rescue SystemCallError
      "unknown"
    end
  end
end
