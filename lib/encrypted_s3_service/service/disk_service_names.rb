# frozen_string_literal: true

module EncryptedS3Service
  # Methods of Rails' Disk service that tests call on their service, for a service with a folder (`root`).
  module DiskServiceNames
    # @return [String, nil] the folder; nil for a service with a bucket
    def root = client.configuration.root

    # Changes the folder of the files. Processes that run tests in parallel take one each:
    #
    #     parallelize_setup { |worker| ActiveStorage::Blob.service.root += "-#{worker}" }
    #
    # @param folder [String, Pathname]
    # @raise [ConfigurationError] when the service has a bucket
    def root=(folder)
      unless root
        raise ConfigurationError, "The service #{name} has a bucket and no folder. Give it a `root` instead of the " \
                                  "`bucket` in config/storage.yml."
      end

      @client = Client.new(Configuration.new(**client.configuration.options, root: folder.to_s))
    end
  end
end
