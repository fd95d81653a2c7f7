# frozen_string_literal: true

require "optparse"
require_relative "../text"

module EncryptedS3Service
  class CLI
    # The command's arguments.
    # @api private
    class Options
      # Raised for invalid arguments.
      class Error < StandardError; end

      # The actions and their methods of {CLI}.
      ACTIONS = { "inspect" => :inspect_object, "decrypt" => :decrypt, "encrypt" => :encrypt,
                  "rebind" => :rebind, "index" => :index, "wrap-key" => :wrap_key,
                  "verify-report" => :verify_report }.freeze

      BANNER = <<~TEXT
        Usage:
          encrypted_s3_service inspect OBJECT            show how an object is encrypted; needs no key
          encrypted_s3_service decrypt OBJECT [-o FILE]  decrypt it into a file or to the standard output
          encrypted_s3_service encrypt FILE -o OBJECT    encrypt a file
          encrypted_s3_service rebind OBJECT --from KEY  bind an object that was renamed or copied in its bucket to
                                                         its new key; it was written under KEY
          encrypted_s3_service index OBJECT              store the segment map of a large object (KEY.segments), so
                                                         that parts of it are read without the rest
          encrypted_s3_service wrap-key TRANSIT_KEY      generate a key, wrap it with OpenBao, and print the
                                                         reference for the configuration; --key-file wraps a given key
          encrypted_s3_service verify-report REPORT --public-key FILE
                                                         check the signature of a destruction report

        OBJECT is s3://BUCKET/KEY, or a local file that holds the object's body, with its metadata in a JSON file beside
        it (FILE.metadata.json, or --metadata): the output of `aws s3api head-object`, or the x-amz-meta entries as one
        object of names and values.

        Keys cannot be given as arguments, because every user of the machine can see those. They come from files
        (--key-file), from the variable ENCRYPTION_KEY (ENCRYPTION_KEY_PASSPHRASE for an encrypted PEM), or from
        --config. Credentials come from the sources of Amazon's tools: variables, configuration files, roles.
      TEXT

      EPILOGUE = <<~TEXT

        A file is written only after the whole object was authenticated, and appears whole or not at all.
        Exit status: 0, 1 after a failure, 2 for wrong usage.

        Examples:
          ENCRYPTION_KEY=base64:… encrypted_s3_service decrypt s3://files/abc123 -o report.pdf
          aws s3api get-object --bucket files --key abc123 body > body.metadata.json
          encrypted_s3_service decrypt body --key-file key.txt -o report.pdf
      TEXT
      # Actions whose argument or target is an object.
      OBJECTS = %w[inspect decrypt encrypt rebind index].freeze
      private_constant :ACTIONS, :BANNER, :EPILOGUE, :OBJECTS

      # @return [Symbol] the method that performs the action
      attr_reader :action

      # @return [String] the file or object to read
      attr_reader :source

      # @return [String, nil] the file or object to write; nil is the standard output
      attr_reader :target

      # @return [String, nil] a text to print instead of performing an action
      attr_reader :text

      # @return [Array<String>] paths; the first key writes
      attr_reader :key_files

      # @return [Hash{Symbol => Object}] settings as in `storage.yml`
      attr_reader :settings

      attr_reader :config, :service, :metadata, :instruction_file, :content_type, :force, :from, :object_key,
                  :recovery_key, :public_key, :signature

      # @param arguments [Array<String>]
      # @return [Options]
      # @raise [Error]
      def self.parse(arguments) = new(arguments)

      # @param arguments [Array<String>]
      # @raise [Error]
      def initialize(arguments)
        @key_files = []
        @settings = {}
        rest = parser.permute(arguments.map { |argument| in_utf8(argument) })
        read_arguments(rest) unless @text
      rescue OptionParser::ParseError => e
        raise Error, e.message
      end

      private

      # Works in every locale. The name of a file may have other bytes, which OptionParser accepts only as binary text.
      def in_utf8(argument) = Text.utf8(argument) || argument.b

      def read_arguments(rest)
        name = rest.shift
        @action = ACTIONS.fetch(name) do
          raise Error, "no action is given" unless name

          raise Error, "the action #{name.inspect} is unknown; use #{ACTIONS.keys.join(", ")}"
        end
        @source = rest.shift.to_s
        raise Error, "#{name}: its argument is missing" if @source.empty?
        raise Error, "too many arguments: #{rest.join(" ")}" if rest.any?

        @target = nil if @target == "-"
        check(name)
      end

      def check(name)
        check_places(name)
        check_objects(name == "encrypt" ? @target : @source) if OBJECTS.include?(name)
        raise Error, "--from is for rebind only" if @from && name != "rebind"
        raise Error, "--recovery-key is for decrypt only" if @recovery_key && name != "decrypt"

        check_report(name)
        raise Error, "--config and --service must be given together" if @config.nil? != @service.nil?
      end

      def check_report(name)
        if name == "verify-report"
          raise Error, "verify-report: give the key that signed the report: --public-key FILE" unless @public_key
        elsif @public_key || @signature
          raise Error, "--public-key and --signature are for verify-report only"
        end
      end

      # Options without effect are refused, because the user may rely on them.
      def check_objects(place)
        BucketObject.address?(place) ? check_bucket_object(place) : check_local_object
      end

      def check_bucket_object(place)
        local = { "--metadata" => @metadata, "--instruction-file" => @instruction_file, "--object-key" => @object_key }
        ignored = local.compact.keys.first
        raise Error, "#{ignored} is for local objects only; #{place} is in a bucket" if ignored
      end

      def check_local_object
        raise Error, "--content-type is for objects in buckets only" if @content_type
        return if @object_key || ["off", nil].include?(@settings[:place_binding])

        raise Error, "--place-binding needs --object-key: a local file does not contain the object's key in the bucket"
      end

      def check_places(name)
        case name
        when "encrypt" then check_encrypting
        when "decrypt"
          raise Error, "decrypt writes local files only" if @target && BucketObject.address?(@target)
        when "rebind" then check_rebinding
        when "index" then check_indexing
        else
          raise Error, "#{name} writes no file" if @target
        end
      end

      def check_encrypting
        raise Error, "encrypt: give the object to write: --output OBJECT" unless @target
        raise Error, "encrypt reads local files only" if BucketObject.address?(@source)
        raise Error, "encrypt writes no instruction file" if @instruction_file
        return unless @metadata && File.expand_path(@metadata) == File.expand_path(@target)

        raise Error, "encrypt: --metadata must be another file than --output"
      end

      def check_rebinding
        raise Error, "rebind: the object must be in a bucket: s3://BUCKET/KEY" unless BucketObject.address?(@source)
        raise Error, "rebind: give the key under which the object was written: --from KEY" unless @from
        raise Error, "rebind: --from must be the key alone, without s3://BUCKET/" if BucketObject.address?(@from)
        raise Error, "rebind writes no file" if @target
      end

      def check_indexing
        raise Error, "index: the object must be in a bucket: s3://BUCKET/KEY" unless BucketObject.address?(@source)
        raise Error, "index writes no file" if @target
      end

      def parser
        OptionParser.new(BANNER) do |parser|
          parser.separator("")
          define_files(parser)
          define_other_keys(parser)
          define_settings(parser)
          define_rest(parser)
          parser.separator(EPILOGUE)
        end
      end

      def define_files(parser)
        parser.on("-o", "--output OBJECT", "what to write; - is the standard output") { |value| @target = value }
        parser.on("-f", "--force", "overwrite existing files") { @force = true }
        parser.on("--metadata FILE", "the metadata of a local object") { |value| @metadata = value }
        parser.on("--instruction-file FILE", "the instruction file of a local object") do |value|
          @instruction_file = value
        end
        parser.on("--object-key KEY", "the key of a local object in its bucket, to check or bind it") do |value|
          raise Error, "--object-key must be valid UTF-8" if value.encoding == Encoding::BINARY
          raise Error, "--object-key must not be empty" if value.empty?

          @object_key = value
        end
        parser.on("--from KEY", "rebind: the key under which the object was written") { |value| @from = value }
        parser.on("--key-file FILE", "a key in the form of encryption_key; repeat for reading keys") do |value|
          @key_files << value
        end
      end

      def define_other_keys(parser)
        parser.on("--recovery-key FILE",
                  "decrypt: a private recovery key in PEM, instead of all other keys") do |value|
          @recovery_key = value
        end
        parser.on("--public-key FILE", "verify-report: the public key of the signature") do |value|
          @public_key = value
        end
        parser.on("--signature FILE", "verify-report: the signature, if it is not REPORT.sig") do |value|
          @signature = value
        end
      end

      def define_settings(parser)
        parser.on("--config FILE", "a storage.yml") { |value| @config = value }
        parser.on("--service NAME", "an entry of it") { |value| @service = value }
        parser.on("--region NAME") { |value| @settings[:region] = value }
        parser.on("--endpoint URL", "URL of an S3-compatible store") { |value| @settings[:endpoint] = value }
        parser.on("--path-style", "put the bucket into the path of the URL") { @settings[:force_path_style] = true }
        parser.on("--profile NAME", "profile in Amazon's configuration files") { |value| @settings[:profile] = value }
        define_formats(parser)
      end

      def define_formats(parser)
        parser.on("--key-id ID", "name of the key that writes") { |value| @settings[:encryption_key_id] = value }
        parser.on("--commitment-policy NAME", Configuration::COMMITMENT_POLICIES,
                  Configuration::COMMITMENT_POLICIES.join(", ")) { |value| @settings[:commitment_policy] = value }
        parser.on("--security-profile NAME", Configuration::SECURITY_PROFILES,
                  "#{Configuration::SECURITY_PROFILES.join(", ")}: whether legacy objects are read") do |value|
          @settings[:security_profile] = value
        end
        parser.on("--place-binding NAME", Configuration::PLACE_BINDINGS,
                  "#{Configuration::PLACE_BINDINGS.join(", ")}: whether objects are bound to their keys") do |value|
          @settings[:place_binding] = value
        end
      end

      def define_rest(parser)
        parser.on("--content-type TYPE", "content type in the store for an encrypted file") do |value|
          @content_type = value
        end
        parser.on("-h", "--help", "print this help") { @text = parser.help }
        parser.on("--version") { @text = VERSION }
      end
    end
  end
end
