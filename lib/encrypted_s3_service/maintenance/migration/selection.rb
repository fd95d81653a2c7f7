# frozen_string_literal: true

require_relative "../task_run/rows"

module EncryptedS3Service
  class Migration
    # Selects the blobs that the task moves.
    # @api private
    module Selection
      module_function

      # @param scope [String, nil] the name of one of `config.encrypted_s3_service.migration_scopes`; the text after a
      #   colon is passed to it
      # @param attachment [String, nil] `Model#name`, with the model as in the attachments' column `record_type`
      # @return [ActiveRecord::Relation] of ActiveStorage::Blob
      # @raise [ConfigurationError]
      def blobs(scope: nil, attachment: nil)
        blobs = scope.present? ? scoped(scope) : TaskRun::Rows.blobs
        attachment.present? ? blobs.where(id: attached(attachment)) : blobs
      end

      def scoped(text)
        name, argument = text.split(":", 2)
        scopes = EncryptedS3Service.settings.migration_scopes.to_h.transform_keys(&:to_s)
        scope = scopes.fetch(name) do
          raise ConfigurationError, "SCOPE: config.encrypted_s3_service.migration_scopes has no #{name.inspect}" \
                                    "#{", only #{scopes.keys.join(", ")}" if scopes.any?}."
        end
        call(name, scope, argument)
      end
      private_class_method :scoped

      def call(name, scope, argument)
        problem = misfit(scope, argument)
        raise ConfigurationError, "SCOPE: #{name} #{problem}." if problem

        found = scope.call(*argument)
        return found if found.is_a?(ActiveRecord::Relation) && found.klass <= ActiveStorage::Blob

        raise ConfigurationError, "SCOPE: #{name} must return a relation of ActiveStorage::Blob, not #{found.class}."
      end
      private_class_method :call

      # A scope may be a lambda, a proc, a method or an object with a method `call`.
      # @return [String, nil] why it cannot be called with the argument, or without
      def misfit(scope, argument)
        callable = scope.respond_to?(:parameters) ? scope : scope.method(:call)
        kinds = callable.parameters.map(&:first)
        needed = kinds.count(:req)
        return "must accept at most one argument" if needed > 1
        return "needs an argument after a colon" if argument == "" || (needed == 1 && !argument)

        "accepts no argument after a colon" if argument && !kinds.intersect?(%i[req opt rest])
      end
      private_class_method :misfit

      def attached(text)
        model, name = text.split("#", 2)
        attachments = ActiveStorage::Attachment.unscoped.where(record_type: model, name: name)
        return attachments.select(:blob_id) if attachments.exists?

        raise ConfigurationError, "ATTACHMENT: nothing is attached as #{text}. Write Model#name, for example " \
                                  "Document#file."
      end
      private_class_method :attached
    end
  end
end
