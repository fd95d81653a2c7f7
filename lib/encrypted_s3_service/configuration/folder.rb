# frozen_string_literal: true

require_relative "connection"

module EncryptedS3Service
  class Configuration
    # The folder that holds the objects where `root` is given instead of `bucket`.
    # @api private
    module Folder
      # Settings of an entry that mean nothing without a bucket.
      FOREIGN = [:bucket, *Connection::NAMES].freeze
      PROBLEM = "cannot be used with root, because the objects are kept in a folder. Remove one of the two"
      # What a shell or a browser would take for another place than a folder of this name here.
      NO_PATH = %r{\A(~|[a-z][a-z0-9+.-]*://)}i
      private_constant :PROBLEM, :NO_PATH

      # @param settings [Options]
      # @return [String, nil] the absolute path; nil without `root`
      # @raise [ConfigurationError] when it is no path, or there is also a setting of a bucket or of its connection
      def self.read(settings)
        root = settings.path(:root) or return

        if root.match?(NO_PATH)
          settings.refuse(:root, "must be the path of a folder, without ~ or a scheme, such as " \
                                 "<%= Rails.root.join(\"storage/encrypted\") %>")
        end
        refuse(settings, FOREIGN)
        File.absolute_path(root).freeze
      end

      # @param settings [Options] an entry, or its settings under `upload`
      # @param names [Array<Symbol>] settings that mean nothing without a bucket
      # @return [void]
      # @raise [ConfigurationError] when one of them is given
      def self.refuse(settings, names)
        name = names.find { |candidate| !settings.raw(candidate).nil? }
        settings.refuse(name, PROBLEM) if name
      end
    end
  end
end
