# frozen_string_literal: true

module EncryptedS3Service
  class Migration
    # Which blobs the task moves.
    # @api private
    module Selection
      module_function

      # @param scope [String, nil] the name of one of `config.encrypted_s3_service.migration_scopes`; what stands behind
      #   a colon is given to it
      # @param attachment [String, nil] `Model#name`, as it is in the column record_type of the attachments
      # @return [ActiveRecord::Relation] of ActiveStorage::Blob
      # @raise [ConfigurationError]
      def blobs(scope: nil, attachment: nil)
        blobs = scope.present? ? scoped(scope) : ActiveStorage::Blob.all
        attachment.present? ? blobs.where(id: attached(attachment)) : blobs
      end

      def scoped(text)
        name, argument = text.split(":", 2)
        scopes = EncryptedS3Service.settings.migration_scopes.to_h.transform_keys(&:to_s)
        scope = scopes.fetch(name) do
          raise ConfigurationError, "SCOPE: config.encrypted_s3_service.migration_scopes has no #{name.inspect}" \
                                    "#{", only #{scopes.keys.join(", ")}" if scopes.any?}"
        end
        call(name, scope, argument)
      end
      private_class_method :scoped

      def call(name, scope, argument)
        if scope.lambda? && scope.arity != (argument ? 1 : 0)
          raise ConfigurationError, "SCOPE: #{name} #{argument ? "takes nothing" : "needs something"} behind a colon"
        end

        found = scope.call(*argument)
        return found if found.is_a?(ActiveRecord::Relation) && found.klass <= ActiveStorage::Blob

        raise ConfigurationError, "SCOPE: #{name} must return a relation of ActiveStorage::Blob, not #{found.class}"
      end
      private_class_method :call

      def attached(text)
        model, name = text.split("#", 2)
        attachments = ActiveStorage::Attachment.where(record_type: model, name: name)
        return attachments.select(:blob_id) if attachments.exists?

        raise ConfigurationError, "ATTACHMENT: nothing is attached as #{text}; it has to be Model#name, as " \
                                  "Document#file"
      end
      private_class_method :attached
    end
  end
end
