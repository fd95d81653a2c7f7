# frozen_string_literal: true

require_relative "../check"

module EncryptedS3Service
  class Doctor
    class Application
      # Checks that Rails has the security fixes of 2026 for Active Storage.
      # @api private
      class RailsCheck < Check
        SUBJECT = "Rails"
        # First version with the fixes, by release series.
        FIXED = { "7.2" => "7.2.3.2", "8.0" => "8.0.5.1", "8.1" => "8.1.3.1" }.transform_values { Gem::Version.new(_1) }
        private_constant :SUBJECT, :FIXED

        # @param version [Gem::Version]
        def initialize(version = ::Rails.gem_version)
          super(nil)
          @version = version
        end

        # @return [Finding]
        def call
          fixed = FIXED[@version.segments.first(2).join(".")]
          return ok(SUBJECT, @version.to_s) if @version >= (fixed || FIXED.values.max)

          warning SUBJECT, "#{@version} lacks security fixes (CVE-2026-66066 and others). Update to " \
                           "#{fixed || "#{FIXED.values.min} or a later series"}"
        end
      end
    end
  end
end
