# frozen_string_literal: true

# The part of the gem that needs Rails: which service new files go to.
module EncryptedS3Service
  # Active Storage knows one service for everybody, `ActiveStorage::Blob.service`. This reader is prepended to
  # ActiveStorage::Blob's singleton class and answers with another one inside {EncryptedS3Service.with_service}. The
  # value it holds is of the thread or fiber, as `config.active_support.isolation_level` says; nothing that other
  # requests read is ever written, and `ActiveStorage::Blob.service=` goes on working.
  #
  # Only new blobs ask for it (ActiveStorage::Blob's `after_initialize`, `app/models/active_storage/blob.rb`). Whoever
  # reads, analyzes, previews, transforms or purges a file follows the service that its row names.
  module ServiceSwitch
    # Where ActiveSupport::IsolatedExecutionState keeps the name. It is a Symbol and not a CurrentAttributes object: a
    # thread that streams (ActionController::Live) gets a copy of the state, and an object in it would be one and the
    # same for both threads and be emptied by whichever ends first.
    STATE = :encrypted_s3_service_name

    # @return [ActiveStorage::Service, nil] where a new blob goes that names no service of its own
    def service
      name = ServiceSwitch.current
      name ? services.fetch(name) : super
    end

    class << self
      # @return [Symbol, nil]
      # @api private
      def current = ActiveSupport::IsolatedExecutionState[STATE]

      # @param name [Symbol, nil] one that exists
      # @api private
      def current=(name)
        ActiveSupport::IsolatedExecutionState[STATE] = name
      end

      # @param name [Symbol, String, nil]
      # @return [Symbol, nil]
      # @raise [ConfigurationError]
      # @api private
      def existing(name)
        return if name.nil?
        raise ConfigurationError, "A service is a name, not a #{name.class}" unless name.respond_to?(:to_sym)

        ActiveStorage::Blob.services.fetch(name) do
          raise ConfigurationError, "There is no Active Storage service #{name.to_sym.inspect}; #{known_services}."
        end
        name.to_sym
      end

      private

      def known_services
        names = Rails.configuration.active_storage.service_configurations.to_h.keys
        names.empty? ? "none is configured" : "config/storage.yml has #{names.join(", ")}"
      end
    end

    # Ends with a request or job what it left behind: a fiber that entered a block and was never resumed does not run
    # its `ensure`, and its thread would take the switch into the next request. Registered with Rails' executor
    # (ActiveSupport::ExecutionWrapper.register_hook). It puts back what was there instead of clearing, because an
    # executor also runs inside a block: around an inline job.
    module ExecutorHook
      # @return [Symbol, nil] what {complete} is given
      def self.run = ServiceSwitch.current

      # @param before [Symbol, nil]
      # @return [void]
      def self.complete(before)
        ServiceSwitch.current = before
      end
    end
  end

  # Sends new files to another service while the block runs:
  #
  #     EncryptedS3Service.with_service(:encrypted_amazon) { Document.create!(file: params[:file]) }
  #
  # Blocks nest, and the former choice comes back on every way out. It holds in this thread, or fiber, alone
  # (`config.active_support.isolation_level`): a thread that is started inside is not switched and has to be given
  # {EncryptedS3Service.current_service}.
  #
  # Of several that name a service the most specific wins: the `service_name:` of a Hash that is attached, then the
  # `service:` of `has_one_attached` or `has_many_attached` (a name or, from Rails 7.2 on, a Proc), then this block,
  # then `ActiveStorage::Blob.service` and so `config.active_storage.service`. Files that are stored already stay where
  # they are, and are read from there.
  #
  # @param name [Symbol, String, nil] as in `config/storage.yml`; nil for the application's default, also inside another
  #   block
  # @yield with the switch in force
  # @return [Object] what the block returns
  # @raise [ConfigurationError] when there is no such service; then the block is not run
  def self.with_service(name)
    name = ServiceSwitch.existing(name)
    before = ServiceSwitch.current
    begin
      ServiceSwitch.current = name
      yield
    ensure
      ServiceSwitch.current = before
    end
  end

  # @return [Symbol, nil] the service that {with_service} has chosen here; nil where the application's default holds
  def self.current_service = ServiceSwitch.current

  # @param name [Symbol, String, nil]
  # @return [Boolean] whether that Active Storage service encrypts, by itself or, for a mirror, as its primary
  # @raise [ConfigurationError] when there is no such service
  def self.encrypts?(name)
    name = ServiceSwitch.existing(name) or return false
    service = ActiveStorage::Blob.services.fetch(name)
    service = service.primary if service.respond_to?(:primary)
    # Its file is loaded with the first service of its kind.
    !defined?(ActiveStorage::Service::EncryptedS3Service).nil? &&
      service.is_a?(ActiveStorage::Service::EncryptedS3Service)
  end
end
