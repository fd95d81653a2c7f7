# frozen_string_literal: true

require "rails/generators/base"
require "ripper"
require "encrypted_s3_service"
require_relative "credentials_entry"
require_relative "key_place"
require_relative "storage_form"
require_relative "tenant_files"

module EncryptedS3Service
  # The generators of the gem.
  module Generators
    # `rails generate encrypted_s3_service:install` adds an entry to config/storage.yml, an initializer and a new key.
    # It can be run again: existing entries and keys are kept.
    class InstallGenerator < Rails::Generators::Base
      include TenantFiles

      # Values of `--key`.
      KEY_PLACES = %w[credentials environment openbao none].freeze

      # File of the entry, relative to the application's root.
      STORAGE = "config/storage.yml"

      # File of the application's settings, relative to the application's root.
      INITIALIZER = "config/initializers/encrypted_s3_service.rb"

      # Name of the entry where none is given.
      NAME = "encrypted_amazon"

      # Options whose values are written into the entry. For an option without a value Thor uses the option's name.
      VALUES = %i[name bucket region endpoint kms_key_id].freeze
      # The line that sets the default service of an environment.
      DEFAULT_SERVICE = /^[ \t]*config\.active_storage\.service[ \t]*=.*$/
      private_constant :VALUES, :DEFAULT_SERVICE

      source_root File.expand_path("templates", __dir__)

      # A misspelt option would be ignored, and the entry would name another bucket.
      check_unknown_options!

      class_option :name, type: :string, lazy_default: "", default: NAME, banner: "NAME",
                          desc: "Name of the service in #{STORAGE}"
      class_option :bucket, type: :string, lazy_default: "", banner: "BUCKET", desc: "The bucket that holds the files"
      class_option :region, type: :string, lazy_default: "", banner: "REGION",
                            desc: "The bucket's region (us-east-1 without an endpoint)"
      class_option :endpoint, type: :string, lazy_default: "", banner: "URL",
                              desc: "URL of an S3-compatible store (Amazon if omitted)"
      class_option :key, type: :string, enum: KEY_PLACES, banner: KEY_PLACES.join("|"),
                         desc: "Where a new encryption key is stored (credentials if the application can read them, " \
                               "otherwise environment). With openbao the key stays with an OpenBao or Vault server, " \
                               "and the application gets a reference"

      class_option :kms_key_id, type: :string, lazy_default: "", banner: "ARN",
                                desc: "A key in AWS KMS that generates the data keys, instead of a new key"

      class_option :default, type: :array, lazy_default: %w[production], banner: "ENVIRONMENT ...",
                             desc: "Environments that use the service by default (production)"

      class_option :local, type: :boolean, default: false,
                           desc: "Store the files in a folder in development and tests, without an S3 server"

      class_option :tenants, type: :string, lazy_default: "Organisation", banner: "CLASS",
                             desc: "Encrypt the files of some tenants only: adds a model of tenants and the " \
                                   "code for controllers and jobs (Organisation)"

      # @return [Boolean] true: an installation script must stop after a refusal, unlike with Rails' own generators
      def self.exit_on_failure? = true

      # Passes arguments after the options to {#check}. Rails' generators would ignore them.
      # @return [Boolean]
      # @api private
      def self.strict_args_position?(*) = false

      # Checks all options before anything is written.
      # @return [void]
      # @raise [Thor::Error] when an option is wrong or the entry's name is taken
      def check
        check_options
      rescue ConfigurationError => e
        refuse e.message
      else
        check_place unless behavior == :revoke || installed?
      end

      # Stores the key before the entry that reads it. If the entry then cannot be written, the next run finds the key.
      # @return [void]
      # @raise [Thor::Error] when the credentials cannot be changed
      def store_key
        return say_status(:keep, "the encryption key, if there is one", :blue) if behavior == :revoke
        return say_status(:skip, "making a key: the entry has one", :blue) if installed? || kms_key_id

        key_place.store unless options[:pretend]
      rescue CredentialsEntry::Refusal => e
        refuse e.message
      end

      # @return [void]
      def add_storage_entry
        if behavior == :revoke && !storage_text.include?(entry)
          say_status(:keep, "#{STORAGE}: it has no entry that this generator writes with these options", :blue)
        elsif installed? && behavior == :invoke
          say_status(:exist, "an entry with `service: EncryptedS3` in #{STORAGE}", :blue)
        elsif storage_text.empty? && behavior == :invoke
          create_file(STORAGE, entry.lstrip)
        else
          append_to_file(STORAGE, entry)
        end
      end

      # @return [void]
      def add_initializer
        return template("initializer.rb", INITIALIZER) unless exist?(INITIALIZER)
        return say_status(:exist, INITIALIZER, :blue) unless behavior == :revoke
        return template("initializer.rb", INITIALIZER) if File.read(path(INITIALIZER)) == rendered("initializer.rb.tt")

        # Without these settings the files of tenants would go to the default service.
        say_status(:keep, "#{INITIALIZER}, which has its own settings", :blue)
      end

      # @return [void]
      def add_tenants
        return unless options[:tenants]
        return say_status(:keep, "files for tenants", :blue) if behavior == :revoke

        options[:pretend] ? say_status(:skip, "files for tenants", :blue) : add_tenant_files
      end

      # @return [void]
      def make_default
        environments.each { |name| change_default(environment_file(name)) }
      end

      # Prints the key last and only here, so that it does not scroll away.
      # @return [void]
      def show_next_steps
        return if behavior == :revoke || options[:pretend]

        show_tenant_steps if options[:tenants]
        return if installed?

        show_other_files
        files = environments.empty? ? "config/environments/*.rb" : files_by_hand.join(", ")
        default = "set `#{default_line}` in #{files}, then " unless files.empty?
        say "\nNext: #{default}run `bin/rails encrypted_s3_service:doctor`."
        return show_custody if key_place.custody?
        return say("Without the key in AWS KMS the files are lost.") if kms_key_id

        say "Keep a copy of the encryption key outside of the bucket. Without the key the files are lost."
        key_place.show
      end

      private

      # Rails reads only this file in its environment (ActiveStorage::Engine).
      def show_other_files
        Dir.glob("config/storage/*.yml", base: destination_root).sort.each do |file|
          say "\nIn #{File.basename(file, ".yml")}, Rails reads #{file} instead of #{STORAGE}. Copy the entry " \
              "`#{options[:name]}` into it, if that environment uses the service."
        end
      end

      def show_custody
        say <<~TEXT
          Before that, create the key and set ENCRYPTION_KEY to the printed reference (it is not secret):

            bao secrets enable transit
            bao write -f transit/keys/files
            bin/rails encrypted_s3_service:wrap_key TRANSIT_KEY=files

          Back up the server: without the transit key and the reference the files are lost.
        TEXT
      end

      # Checks that the entry can be appended.
      def check_place
        refuse "#{STORAGE} already has an entry #{options[:name]} of another service. Choose another --name." if named?
        return if StorageForm.new(storage_text).takes?(entry, options[:name])

        refuse "An entry cannot be appended to #{STORAGE} in its present form. Write its entries below each other, " \
               "from the first column, without braces around them and without `...` at the end. Then run this again."
      end

      def check_options
        check_words
        check_application
        absent = environments.find { |name| !exist?(environment_file(name)) }
        refuse "--default: #{environment_file(absent)} does not exist." if absent
        check_tenants if options[:tenants]
        check_kms_key
        check_store
        check_entry if options[:tenants] || environments.any? || options[:name] != NAME
      end

      def check_application
        return if behavior == :revoke

        Engine.require_active_storage
        return unless defined?(::ENGINE_ROOT)

        refuse "This is an engine, and Rails reads config/storage.yml only in applications. Run this in the folder " \
               "of an application, such as #{Rails.root}."
      end

      def check_words
        refuse "#{args.first.inspect} is not an option. Name the option, as in --bucket contracts." if args.any?
        VALUES.each { |name| refuse "--#{name.to_s.dasherize} needs a value." if options[name]&.strip == "" }
        refuse "--name must consist of letters, digits and _." unless options[:name].match?(/\A[a-z_]\w*\z/i)
      end

      # No second entry is added, and the application would not boot with the name of a missing one.
      def check_entry
        return if behavior == :revoke || !installed? || named?

        refuse "#{STORAGE} has an entry with `service: EncryptedS3`, but no entry #{options[:name]}. Give " \
               "that entry's name as --name, or add a second entry by hand."
      end

      # @return [Boolean] whether there is an entry of this name
      def named? = storage_text.match?(/^(["']?)#{options[:name]}\1\s*:/)

      def refuse(message) = raise(Thor::Error, message)

      def kms_key_id = options[:kms_key_id]

      def check_kms_key
        return unless kms_key_id

        refuse "--key and --kms-key-id cannot both be given." if options[:key]
        KmsKey.new(kms_key_id, setting: "--kms-key-id")
      rescue ConfigurationError => e
        refuse "#{e.message}."
      end

      # With a wrong entry no command of the application would start.
      def check_store
        Configuration.new(false, bucket: options[:bucket] || "any", endpoint: options[:endpoint],
                                 region: region, encryption_key: "k" * EncryptionKey::SIZE)
      rescue ConfigurationError => e
        refuse "--#{e.message}."
      end

      def path(relative) = File.join(destination_root, relative)

      def exist?(relative) = File.exist?(path(relative))

      def environments = options[:default] || []

      def environment_file(name) = "config/environments/#{name}.rb"

      def default_line = "config.active_storage.service = :#{options[:name]}"

      # When the generator is revoked, the former default is not known.
      def change_default(file)
        return say_status(:keep, "the default service in #{file}", :blue) if behavior == :revoke

        text = File.read(path(file), encoding: "UTF-8")
        settings = text.scan(DEFAULT_SERVICE)
        return leave_default(file) if settings.many? || settings.any? { |setting| !replaceable?(setting) }
        return replace_default(file, settings.first) if settings.any?

        opening = text[/^.*\bconfigure do\b.*\n/] or return leave_default(file)
        insert_into_file(file, "  #{default_line}\n", after: opening)
      end

      # False for a value of several lines, and for one that depends on a condition.
      def replaceable?(setting) = Ripper.sexp(setting)&.dig(1, 0, 0) == :assign

      def replace_default(file, setting)
        gsub_file(file, /^#{Regexp.escape(setting)}$/, "#{setting[/\A[ \t]*/]}#{default_line}")
      end

      def leave_default(file)
        files_by_hand << file
        say_status(:skip, "#{file}: set `#{default_line}` there", :yellow)
      end

      # @return [Array<String>] files in which the default service has to be set by hand
      def files_by_hand = @files_by_hand ||= []

      # @return [String] the file's text before this run
      def storage_text = @storage_text ||= exist?(STORAGE) ? File.read(path(STORAGE), encoding: "UTF-8") : ""

      # Searches the text, because evaluating the file may need secrets that are not on this machine.
      def installed?
        @installed ||= storage_text.match?(/^[^#\n]*\bservice["']?\s*:\s*["']?EncryptedS3["']?\s*([,}#]|$)/)
      end

      def key_place
        @key_place ||= KeyPlace.new(options[:key], Rails.application.credentials, shell)
      end

      def entry
        text = rendered("storage.yml.tt")
        storage_text.empty? || storage_text.end_with?("\n") ? text : "\n#{text}"
      end

      def rendered(source) = ERB.new(File.read(find_in_source_paths(source)), trim_mode: "-").result(binding)

      # The value of an option in YAML.
      def yaml(value) = value.match?(%r{\A[a-z][\w./:-]*\z}i) && YAML.load(value) == value ? value : value.to_json

      def local_folder = 'Rails.root.join(Rails.env.test? ? "tmp/storage/encrypted" : "storage/encrypted")'

      def bucket = options[:bucket] ? yaml(options[:bucket]) : "your-own-bucket-<%= Rails.env %>"

      def region = options[:region] || (options[:endpoint] ? nil : "us-east-1")
    end
  end
end
