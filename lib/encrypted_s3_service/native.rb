# frozen_string_literal: true

module EncryptedS3Service
  # Loads the native extension.
  # @api private
  module NativeLoader
    # A gem that ships compiled extensions keeps one folder for each Ruby version; one compiled here has no folder.
    FEATURES = [
      "encrypted_s3_service/#{RUBY_VERSION[/\A\d+\.\d+/]}/encrypted_s3_service",
      "encrypted_s3_service/encrypted_s3_service"
    ].freeze

    class << self
      # @param features [Array<String>] what to look for on the load path, the first found is loaded
      # @return [void]
      # @raise [NativeLoadError] when there is no extension, or it cannot be used
      def load(features = FEATURES)
        feature = features.find { |name| $LOAD_PATH.resolve_feature_path(name) }
        raise NativeLoadError, "The native extension of encrypted_s3_service is not built. #{advice}" unless feature

        require feature
        check_version
      rescue LoadError => e
        raise NativeLoadError, "The native extension of encrypted_s3_service does not load: #{e.message}. #{advice}"
      end

      # @param built [String] the version of the loaded extension
      # @return [void]
      # @raise [NativeLoadError] when it is not this gem's version
      def check_version(built = Native::VERSION)
        return if built == VERSION

        raise NativeLoadError, "The native extension of encrypted_s3_service is of version #{built}, " \
                               "the gem of version #{VERSION}. #{advice}"
      end

      private

      def advice
        "Build it with `bundle exec rake compile` in a checkout, or with `gem pristine encrypted_s3_service` " \
          "where the gem is installed; either needs Rust (cargo) and libclang."
      end
    end
  end
end
