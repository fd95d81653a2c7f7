# frozen_string_literal: true

require_relative "check"

module EncryptedS3Service
  class Doctor
    # All checks of the Rails application itself.
    # @api private
    class Application
      # These files reopen the class. Required outside of it, they would trigger its autoload.
      require_relative "application/host_check"
      require_relative "application/login_check"
      require_relative "application/mirrors_check"
      require_relative "application/rails_check"
      require_relative "application/service_file_check"
      require_relative "application/temporary_folder_check"

      CHECKS = [ServiceFileCheck, RailsCheck, LoginCheck, HostCheck, MirrorsCheck, TemporaryFolderCheck].freeze
      private_constant :CHECKS

      # @yieldparam finding [Finding]
      # @return [void]
      def each(&) = CHECKS.flat_map { |check| Array(check.new.call) }.each(&)
    end
  end
end
