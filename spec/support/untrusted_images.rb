# frozen_string_literal: true

# Since the fix of CVE-2026-66066 Active Storage does not load beside a ruby-vips older than 2.2.1, because that one has
# no switch for the loaders of libvips that are not safe for strangers' files. libvips itself has the switch from 8.13
# on, so an older ruby-vips, as some Debians have, is given it here. To be required before `active_storage/engine`.
begin
  require "nokogiri"
  require "ruby-vips"
rescue LoadError
  # Nothing to be done where there is no libvips.
  nil
end

if defined?(Vips) && !Vips.respond_to?(:block_untrusted)
  module Vips
    attach_function :vips_block_untrusted_set, [:int], :void

    # @param blocked [Boolean]
    def self.block_untrusted(blocked) = vips_block_untrusted_set(blocked ? 1 : 0)
  end
end
