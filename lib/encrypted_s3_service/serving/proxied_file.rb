# frozen_string_literal: true

require "delegate"

module EncryptedS3Service
  module Serving
    # A representation of a file that Rails' proxy streams. Status and caching headers are set before the download
    # begins. If it fails before the first byte, Rails 7 sends them with an empty body, which caches may keep. Rails 8
    # answers every error but a missing file with 500. Here the response gets the status that a link of this gem has.
    # @api private
    class ProxiedFile < SimpleDelegator
      # Headers that describe the file, and not the failure.
      OF_FILE = %w[Accept-Ranges Content-Disposition Content-Length ETag].freeze
      private_constant :OF_FILE

      # @param error [StandardError]
      # @return [Integer] status of the response
      def self.status_of(error)
        return 404 if error.is_a?(ActiveStorage::FileNotFoundError)

        ActionDispatch::ExceptionWrapper.status_code_for_exception(error.class.name)
      end

      # Removes the headers of the file from a response, and forbids caches to keep it.
      # @param controller [ActionController::Base]
      # @return [void]
      def self.withdraw(controller)
        OF_FILE.each { |name| controller.response.headers.delete(name) }
        controller.send(:expires_now)
      end

      # @param file [ActiveStorage::VariantWithRecord, ActiveStorage::Variant, ActiveStorage::Preview]
      # @param controller [ActionController::Base]
      def initialize(file, controller)
        super(file)
        @controller = controller
      end

      # @yieldparam chunk [String] binary
      # @return [void]
      # @raise [StandardError] an error before the first byte that has no status of its own
      def download(&)
        stream = @controller.response.stream.extend(BrokenOff::Stream)
        __getobj__.download(&)
      rescue StandardError => e
        return refuse_for(e) unless @controller.response.committed?

        stream.break_off(e)
        @late = e
      end

      # Called after the download. ActiveStorage::Streaming would replace the stream for an error in it (from Rails 8
      # on), and the server, if it has not read anything yet, would send an empty file.
      # @return [void]
      # @raise [StandardError] an error after the first byte
      def raise_late
        raise @late if @late
      end

      private

      def refuse_for(error)
        status = ProxiedFile.status_of(error)
        ProxiedFile.withdraw(@controller)
        @controller.status = status
        raise error if status == 500

        @controller.logger&.warn("#{error.class}: #{error.message}")
      end
    end
  end
end
