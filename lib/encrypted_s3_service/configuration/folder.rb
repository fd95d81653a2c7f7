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
      private_constant :PROBLEM

      # @param settings [Options]
      # @return [String, nil] the absolute path; nil without `root`
      # @raise [ConfigurationError] when there is also a setting of a bucket or of its connection
      def self.read(settings)
        root = settings.path(:root) or return

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
