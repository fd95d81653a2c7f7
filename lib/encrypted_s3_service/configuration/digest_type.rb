# frozen_string_literal: true

module EncryptedS3Service
  class Configuration
    # The digest of the checksums that Active Storage computes for new files of a service (`default_digest_type`, as in
    # Rails' S3Service from 8.2 on). It does not affect files that have a checksum: every form is understood.
    # @api private
    module DigestType
      # Names that Rails knows.
      NAMES = %w[md5 sha256].freeze
      # Rails' default.
      DEFAULT = "md5"
      private_constant :NAMES, :DEFAULT

      class << self
        # @param settings [Options]
        # @return [Symbol] `:md5` or `:sha256`
        # @raise [ConfigurationError] for another digest, and for one that this version of Rails cannot use
        def read(settings)
          name = settings.string(:default_digest_type)&.downcase || DEFAULT
          settings.refuse(:default_digest_type, "must be one of #{NAMES.join(", ")}") unless NAMES.include?(name)
          settings.refuse(:default_digest_type, too_old(name)) unless name == DEFAULT || !rails? || chosen_by_service?
          name.to_sym
        end

        # @return [Boolean] whether Active Storage calls the service for checksums, as from Rails 8.2 on
        def chosen_by_service? = ActiveStorage::Service.method_defined?(:compute_checksum)

        private

        # Without Rails no checksums are computed.
        def rails? = defined?(ActiveStorage::Service) && true

        def too_old(name)
          "cannot be #{name} with Rails #{ActiveStorage.version}, which computes all checksums by MD5 itself. " \
            "Use Rails 8.2 or later, or remove the setting"
        end
      end
    end
  end
end
