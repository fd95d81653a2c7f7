# frozen_string_literal: true

require "optparse"

module EncryptedS3Service
  class CLI
    # The arguments of the command.
    # @api private
    class Options
      # The arguments are wrong.
      class Error < StandardError; end

      # The actions, and the methods of {CLI} that do them.
      ACTIONS = { "inspect" => :inspect_object, "decrypt" => :decrypt, "encrypt" => :encrypt }.freeze

      BANNER = <<~TEXT
        Usage:
          encrypted_s3_service inspect OBJECT            show how an object is encrypted; needs no key
          encrypted_s3_service decrypt OBJECT [-o FILE]  decrypt it to a file or to the standard output
          encrypted_s3_service encrypt FILE -o OBJECT    encrypt a file

        OBJECT is s3://BUCKET/KEY, or a local file with the object's body. A local file needs the object's metadata in a
        JSON file (FILE.metadata.json, or --metadata FILE): the output of `aws s3api head-object`, or an object with the
        names and values of the x-amz-meta entries.

        Keys come from files (--key-file), from the variable ENCRYPTION_KEY (and ENCRYPTION_KEY_PASSPHRASE for an
        encrypted PEM), or from --config. They are never arguments, because every user of the machine can see those.
        Credentials come from the places that Amazon's tools use: variables, configuration files, roles.
      TEXT

      EPILOGUE = <<~TEXT

        A file is written only when the whole object is authenticated. It appears whole or not at all.
        Exit status: 0 for success, 1 for a failure, 2 for wrong arguments.

        Examples:
          ENCRYPTION_KEY=base64:… encrypted_s3_service decrypt s3://files/abc123 -o report.pdf
          aws s3api get-object --bucket files --key abc123 body > body.metadata.json
          encrypted_s3_service decrypt body --key-file key.txt -o report.pdf
      TEXT
      private_constant :ACTIONS, :BANNER, :EPILOGUE

      # @return [Symbol] the method of {CLI} to call
      attr_reader :action

      # @return [String] the object or file to read
      attr_reader :source

      # @return [String, nil] the object or file to write; nil is the standard output
      attr_reader :target

      # @return [String, nil] a text to print instead of an action (help, version)
      attr_reader :text

      # @return [Array<String>] paths of key files; the first is the writing key
      attr_reader :key_files

      # @return [Hash{Symbol => Object}] settings as in `storage.yml`
      attr_reader :settings

      attr_reader :config, :service, :metadata, :instruction_file, :content_type, :force

      # @param arguments [Array<String>]
      # @return [Options]
      # @raise [Error]
      def self.parse(arguments) = new(arguments)

      # @param arguments [Array<String>]
      # @raise [Error]
      def initialize(arguments)
        @key_files = []
        @settings = {}
        rest = parser.permute(arguments)
        read_arguments(rest) unless @text
      rescue OptionParser::ParseError => e
        raise Error, e.message
      end

      private

      def read_arguments(rest)
        name = rest.shift
        @action = ACTIONS.fetch(name) do
          raise Error, "Name an action: #{ACTIONS.keys.join(", ")}" unless name

          raise Error, "There is no action #{name.inspect}, only #{ACTIONS.keys.join(", ")}"
        end
        @source = rest.shift or raise Error, "#{name} needs an object or a file"
        raise Error, "Too many arguments: #{rest.join(" ")}" if rest.any?

        @target = nil if @target == "-"
        check(name)
      end

      def check(name)
        check_places(name)
        raise Error, "Use --config and --service together" if @config.nil? != @service.nil?
      end

      def check_places(name)
        case name
        when "encrypt"
          raise Error, "encrypt needs --output OBJECT" unless @target
          raise Error, "encrypt reads local files only" if BucketObject.address?(@source)
        when "decrypt"
          raise Error, "decrypt writes local files only" if @target && BucketObject.address?(@target)
        else
          raise Error, "inspect writes no file" if @target
        end
      end

      def parser
        OptionParser.new(BANNER) do |parser|
          parser.separator("")
          define_files(parser)
          define_settings(parser)
          define_rest(parser)
          parser.separator(EPILOGUE)
        end
      end

      def define_files(parser)
        parser.on("-o", "--output OBJECT", "what to write; - is the standard output") { |value| @target = value }
        parser.on("-f", "--force", "overwrite an existing file or object") { @force = true }
        parser.on("--metadata FILE", "the metadata of a local object") { |value| @metadata = value }
        parser.on("--instruction-file FILE", "the instruction file of a local object") do |value|
          @instruction_file = value
        end
        parser.on("--key-file FILE", "a file with a key; use it again for keys that only read") do |value|
          @key_files << value
        end
      end

      def define_settings(parser)
        parser.on("--config FILE", "a storage.yml") { |value| @config = value }
        parser.on("--service NAME", "one of its entries") { |value| @service = value }
        parser.on("--region NAME") { |value| @settings[:region] = value }
        parser.on("--endpoint URL", "URL of an S3-compatible store") { |value| @settings[:endpoint] = value }
        parser.on("--path-style", "put the bucket into the path of the URL") { @settings[:force_path_style] = true }
        parser.on("--profile NAME", "a profile of Amazon's configuration files") { |value| @settings[:profile] = value }
        define_formats(parser)
      end

      def define_formats(parser)
        parser.on("--key-id ID", "id of the writing key") { |value| @settings[:encryption_key_id] = value }
        parser.on("--commitment-policy NAME", Configuration::COMMITMENT_POLICIES,
                  Configuration::COMMITMENT_POLICIES.join(", ")) { |value| @settings[:commitment_policy] = value }
        parser.on("--security-profile NAME", Configuration::SECURITY_PROFILES,
                  "#{Configuration::SECURITY_PROFILES.join(", ")}: which legacy objects may be read") do |value|
          @settings[:security_profile] = value
        end
      end

      def define_rest(parser)
        parser.on("--content-type TYPE", "the content type of the stored object") do |value|
          @content_type = value
        end
        parser.on("-h", "--help", "print this") { @text = parser.help }
        parser.on("--version") { @text = VERSION }
      end
    end
  end
end
