# frozen_string_literal: true

module EncryptedS3Service
  # Loads the native extension.
  # @api private
  module NativeLoader
    # Precompiled gems have one folder for each Ruby version; an extension compiled on this machine has none.
    FEATURES = [
      "encrypted_s3_service/#{RUBY_VERSION[/\A\d+\.\d+/]}/encrypted_s3_service",
      "encrypted_s3_service/encrypted_s3_service"
    ].freeze

    # The largest number that the extension accepts (64 bits). No object is as large.
    LARGEST_NUMBER = (1 << 63) - 1

    class << self
      # @param features [Array<String>] features on the load path; the first one found is loaded
      # @return [void]
      # @raise [NativeLoadError] when the extension is missing or cannot be loaded
      def load(features = FEATURES)
        feature = features.find { |name| $LOAD_PATH.resolve_feature_path(name) }
        raise NativeLoadError, "The native extension of encrypted_s3_service is not built. #{advice}" unless feature

        require feature
        check_version
      rescue LoadError => e
        raise NativeLoadError, "The native extension of encrypted_s3_service cannot be loaded: #{e.message}. #{advice}"
      end

      # @param built [String] the version of the loaded extension
      # @return [void]
      # @raise [NativeLoadError] when it differs from this gem's version
      def check_version(built = Native::VERSION)
        return if built == VERSION

        raise NativeLoadError, "The native extension of encrypted_s3_service has version #{built}, " \
                               "the gem has version #{VERSION}. #{advice}"
      end

      private

      def advice
        "Build it with `bundle exec rake compile` in a checkout, or with `gem pristine encrypted_s3_service` " \
          "where the gem is installed. Both need Rust (cargo) and libclang."
      end
    end
  end
end
