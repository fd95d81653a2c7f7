# frozen_string_literal: true

# Since the fix of CVE-2026-66066, Active Storage does not load with a ruby-vips older than 2.2.1, which cannot disable
# the loaders of libvips that are unsafe for untrusted files. libvips itself can from 8.13 on, so this adds the method
# to an older ruby-vips, as in some Debian releases. Require it before `active_storage/engine`.
begin
  require "nokogiri"
  require "ruby-vips"
rescue LoadError
  # Nothing to do without libvips.
  nil
end

if defined?(Vips) && !Vips.respond_to?(:block_untrusted)
  module Vips
    attach_function :vips_block_untrusted_set, [:int], :void

    # @param blocked [Boolean]
    def self.block_untrusted(blocked) = vips_block_untrusted_set(blocked ? 1 : 0)
  end
end
