# frozen_string_literal: true

require "encrypted_s3_service"

module EncryptedS3Service
  # The command `encrypted_s3_service`: reads, writes and explains a single object, in a bucket or in a local file,
  # without the application that stored it and without Rails.
  class CLI
    # These files reopen the class. Required outside of it, they would trigger its autoload.
    require_relative "cli/bucket_object"
    require_relative "cli/envelope_summary"
    require_relative "cli/input_file"
    require_relative "cli/local_object"
    require_relative "cli/options"
    require_relative "cli/output_file"
    require_relative "cli/report_summary"
    require_relative "cli/service_settings"

    # Exit status for invalid arguments.
    USAGE_ERROR = 2

    # @param arguments [Array<String>]
    # @param output [IO] for plaintext and descriptions
    # @param errors [IO] for messages
    # @param environment [Hash{String => String}] `ENCRYPTION_KEY` is used if no key file is given
    def initialize(arguments, output: $stdout, errors: $stderr, environment: ENV.to_h)
      @arguments = arguments
      @output = output
      @errors = errors
      @environment = environment
    end

    # @return [Integer] the exit status: 0, 1 after a failure, 2 for invalid arguments
    def run
      options = Options.parse(@arguments)
      return say(options.text) if options.text

      public_send(options.action, options)
      finish_output
    rescue Options::Error => e
      fail_with(USAGE_ERROR, "#{e.message}\nSee: encrypted_s3_service --help")
    rescue Errno::EPIPE
      fail_with(1, "the standard output was closed")
    rescue EncryptedS3Service::Error, ArgumentError => e
      fail_with(1, [e.message, *advice(e, options)].join("\n"))
    rescue SystemCallError => e
      # Without the name of Ruby's function.
      fail_with(1, e.message.sub(/ @ \w+ - /, ": "))
    rescue Interrupt
      fail_with(130, "interrupted")
    end

    # Prints the contents of an object's envelope. Needs no key.
    # @param options [Options]
    # @return [void]
    # @raise [Error]
    # @api private
    def inspect_object(options)
      # The configuration requires a key. This one is never used.
      object = object_of(options.source, options, key: EncryptionKey.generate)
      if (mapped = object.mapped)
        return @output.puts("#{options.source} is not an encrypted object: it is the segment map of #{mapped}.")
      end

      @output.puts EnvelopeSummary.new(options.source, *object.metadata, indexed: object.indexed?).lines
    end

    # Decrypts an object into a file or to the standard output.
    # @param options [Options]
    # @return [void]
    # @raise [Error] before the first byte is written, when the object was changed
    # @api private
    def decrypt(options)
      object = object_of(options.source, options, **recovery(options))
      return object.read { |chunk| write(chunk) } unless options.target

      OutputFile.write(options.target, force: options.force) do |file|
        object.read { |chunk| file.write(chunk) }
      end
    end

    # Encrypts a file into a bucket, or into a local file with its metadata beside it.
    # @param options [Options]
    # @return [void]
    # @raise [Error]
    # @api private
    def encrypt(options)
      object = object_of(options.target, options)
      InputFile.open(options.source) do |file|
        object.write(file, force: options.force, content_type: options.content_type)
      end
    end

    # Binds a renamed object to its key.
    # @param options [Options]
    # @return [void]
    # @raise [Error] when it was not written under the key `--from`
    # @api private
    def rebind(options)
      changed = object_of(options.source, options).rebind(options.from)
      @errors.puts("encrypted_s3_service: #{options.source} #{changed ? "is" : "was"} bound to its key" \
                   "#{" already" unless changed}")
    end

    # Generates a key, or reads one from a file, has OpenBao wrap it, and prints the reference to it. Only OpenBao can
    # turn the reference back into the key.
    # @param options [Options]
    # @return [void]
    # @raise [Error]
    # @api private
    def wrap_key(options)
      custodian = OpenBao.from_environment
      raise ConfigurationError, "set BAO_ADDR to the server's URL and BAO_TOKEN to a token" unless custodian

      given = options.key_files.first
      key = EncryptionKey.new(given ? "file:#{given}" : EncryptionKey.generate, setting: "--key-file")
      raise ConfigurationError, "only an AES key of 32 bytes can be wrapped, not an RSA key" unless key.kind == "aes"

      @output.puts custodian.wrap(key.bytes, key: options.source)
    end

    # Messages for the results of {Client::Index#index}.
    INDEXED = {
      stored: "has a segment map now", present: "had a segment map already",
      small: "is too small for a segment map; it is read whole",
      impossible: "has a legacy format, which has no segment maps"
    }.freeze
    private_constant :INDEXED

    # Stores an object's segment map.
    # @param options [Options]
    # @return [void]
    # @raise [Error] when the object was changed; no map is stored then
    # @api private
    def index(options)
      outcome = object_of(options.source, options).index
      @errors.puts("encrypted_s3_service: #{options.source} #{INDEXED.fetch(outcome)}")
    end

    # Checks the signature of a destruction report.
    # @param options [Options]
    # @return [void]
    # @raise [Error] when the signature is wrong
    # @api private
    def verify_report(options)
      key = ReportSignature.new("file:#{options.public_key}", setting: "--public-key")
      report = InputFile.read(options.source)
      signature = InputFile.read(options.signature || "#{options.source}#{ReportSignature::SUFFIX}")
      unless key.valid?(report, signature)
        raise IntegrityError,
              "#{options.source}: the signature is WRONG. The report was changed, or another key signed it"
      end

      @output.puts "#{options.source}: signed by the key #{key.fingerprint}", *ReportSummary.new(report).lines
    end

    private

    # Advice for an object that was written under another key. Only the person who renamed it knows that key.
    def advice(error, options)
      return [] unless error.is_a?(TamperedError) && error.code == "misplaced" && options.action == :decrypt

      unless BucketObject.address?(options.source)
        return ["Without --object-key, the object's key in the bucket is not checked."]
      end

      ["If you renamed or copied the object in the bucket yourself: " \
       "encrypted_s3_service rebind #{options.source} --from OLD-KEY"]
    end

    def object_of(place, options, recovery_key: nil, **)
      settings = ServiceSettings.new(options, @environment)
      if BucketObject.address?(place)
        BucketObject.new(place, settings.for_bucket(BucketObject.bucket_of(place), **), recovery_key: recovery_key)
      else
        LocalObject.new(place, settings.for_file(**), metadata: options.metadata, recovery_key: recovery_key,
                                                      instruction_file: options.instruction_file,
                                                      object_key: options.object_key)
      end
    end

    # A recovery key is used instead of all others. The configuration requires a key; this one is never used.
    def recovery(options)
      return {} unless options.recovery_key

      passphrase = @environment["ENCRYPTION_KEY_PASSPHRASE"]
      { recovery_key: RecoveryClient.read_key(options.recovery_key, passphrase: passphrase),
        key: EncryptionKey.generate }
    end

    # A file's content may include control sequences, which a terminal would obey.
    def write(chunk)
      raise FileError, "plaintext is not written to a terminal; use --output FILE" if @output.tty?

      @output.binmode.write(chunk)
    end

    def say(text)
      @output.puts(text)
      finish_output
    end

    # Ruby ignores errors of the last write when the process ends, for example on a full disk.
    # @return [Integer] the exit status
    def finish_output
      @output.flush
      0
    end

    def fail_with(status, message)
      @errors.puts("encrypted_s3_service: #{message}")
      status
    end
  end
end
