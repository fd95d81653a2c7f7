# frozen_string_literal: true

require_relative "../configuration/confidential"
require_relative "../native"

module EncryptedS3Service
  class Doctor
    # Requests that only the doctor needs. They use the service's credentials, proxy, certificates and
    # timeouts like all other requests.
    # @api private
    class Bucket
      include Confidential

      # @param configuration [Configuration]
      # @raise [ConfigurationError]
      def initialize(configuration)
        @name = configuration.bucket || configuration.root
        @prefix = configuration.respond_to?(:prefix) ? configuration.prefix.to_s : ""
        @native = Native::Client.new(configuration.to_native_without_keys)
      end

      # @param key [String]
      # @return [String] an object's body as stored
      # @raise [Error]
      def stored_bytes(key) = @native.stored_bytes(@prefix + key)

      # @param key [String]
      # @return [Hash{Symbol => Object}] `status:` and `date:` of the response to an unsigned request
      # @raise [Error] when there is no response
      def ask_unsigned(key) = @native.ask_unsigned(@prefix + key)

      # @param key [String]
      # @return [String] the id of a new multipart upload
      # @raise [Error]
      def begin_upload(key) = @native.begin_upload(@prefix + key)

      # @param key [String]
      # @param id [String]
      # @return [void]
      # @raise [Error]
      def abort_upload(key, id) = @native.abort_upload(@prefix + key, id)

      # @return [Hash{Symbol => Object}] `versioning:` ("Enabled", "Suspended" or nil), `locks:` (whether objects can be
      #   locked), `default_lock:` ("GOVERNANCE", "COMPLIANCE" or nil)
      # @raise [Error]
      def state = @native.bucket_state

      # Aborts all multipart uploads under a folder, including those whose id was lost with a response.
      # @param folder [String]
      # @return [void]
      # @raise [Error]
      def abort_uploads(folder)
        @native.unfinished_uploads("#{@prefix}#{folder}/").each { |key, id| @native.abort_upload(key, id) }
      end

      # Deletes all versions and delete markers under a folder.
      # @param folder [String]
      # @return [void]
      # @raise [Error]
      def delete_versions(folder)
        @native.versions("#{@prefix}#{folder}/").each { |key, id| @native.delete_version(key, id) }
      end

      private

      def public_attributes = { name: @name }
    end
  end
end
