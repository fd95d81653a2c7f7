# frozen_string_literal: true

require_relative "../tenancy/service_parts"
require_relative "../tenancy/tenant_keys"
require_relative "task_run/rows"
require_relative "task_run/services"

module EncryptedS3Service
  # Files of tenants whose keys are destroyed.
  class UnreadableFiles
    # The files of one service: `service_name` (String), `count` (Integer, files) and `bytes` (Integer, of their
    # plaintext together).
    Line = Data.define(:service_name, :count, :bytes)

    autoload :Command, "encrypted_s3_service/maintenance/unreadable_files/command"

    # @param blobs [ActiveRecord::Relation] of ActiveStorage::Blob
    def initialize(blobs = TaskRun::Rows.blobs)
      @blobs = blobs
    end

    # @return [Array<Line>] a line for each service, in the order of their names
    # @raise [CustodianError] when the custodian of a tenant's key is not available
    def lines
      @lines ||= counted.filter_map do |name, count, bytes|
        Line.new(service_name: name, count: count, bytes: bytes.to_i) if unreadable?(name)
      end
    end

    # @return [ActiveRecord::Relation] of ActiveStorage::Blob
    def blobs = @blobs.where(service_name: lines.map(&:service_name))

    private

    # One query for any number of tenants.
    def counted
      @blobs.group(:service_name).order(:service_name)
            .pluck(:service_name, Arel.sql("COUNT(*)"), @blobs.arel_table[:byte_size].sum)
    end

    def unreadable?(name)
      return false unless name.include?(TenantKeys::SEPARATOR)

      service = ActiveStorage::Blob.services.fetch(name) { return false }
      parts = ServiceParts.new(service).encrypted
      parts.any? && parts.all? { |part| destroyed?(part) }
    end

    def destroyed?(part)
      return true if part.client.is_a?(KeylessClient)

      TaskRun::Services.require_key(part)
      false
    rescue KeyDestroyedError
      true
    end
  end
end
