# frozen_string_literal: true

require_relative "connection"

module EncryptedS3Service
  class Configuration
    # Reads `root`: the folder for the objects of a service without a bucket.
    # @api private
    module Folder
      # Settings of an entry that have no meaning for a folder.
      FOREIGN = [:bucket, *Connection::NAMES].freeze
      PROBLEM = "cannot be used with root, because the objects are stored in a folder. Remove one of the two"
      # Ruby would not expand these, but take them as names of folders.
      UNEXPANDED = %r{\A(~|[a-z][a-z0-9+.-]*://)}i
      private_constant :PROBLEM, :UNEXPANDED

      # @param settings [Options]
      # @return [String, nil] the absolute path; nil without `root`
      # @raise [ConfigurationError] when it is not a path, or a setting of a bucket or its connection is also given
      def self.read(settings)
        root = settings.path(:root) or return

        if root.match?(UNEXPANDED)
          settings.refuse(:root, "must be the path of a folder, without ~ or a scheme, such as " \
                                 "<%= Rails.root.join(\"storage/encrypted\") %>")
        end
        refuse(settings, FOREIGN)
        File.absolute_path(root, Text.utf8(Dir.pwd)).freeze
      end

      # @param settings [Options] an entry, or its settings under `upload`
      # @param names [Array<Symbol>] settings that have no meaning for a folder
      # @return [void]
      # @raise [ConfigurationError] when one of them is given
      def self.refuse(settings, names)
        name = names.find { |candidate| !settings.raw(candidate).nil? }
        settings.refuse(name, PROBLEM) if name
      end
    end
  end
end
