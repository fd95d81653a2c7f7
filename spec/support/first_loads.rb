# frozen_string_literal: true

# Loads each constant and each file of the gem first, in its own process, with all of Ruby's warnings. Prints the name
# and the output of each that does not load silently.
#
#   ruby -I lib spec/support/first_loads.rb rails    in a program that has loaded Rails
#   ruby -I lib spec/support/first_loads.rb alone    those that need no Rails, without Rails

LIB = File.expand_path("../../lib", __dir__)
WITHOUT_RAILS = %w[cli client configuration keys].freeze
RAILS = ARGV.first == "rails"
if RAILS
  require_relative "untrusted_images"
  %w[rails/all rails/generators rspec/expectations].each { |name| require name }
  # Rails finds this class only once an application is initialized.
  require File.join(Gem.loaded_specs.fetch("activestorage").full_gem_path, "app/models/active_storage/record")
end
require "encrypted_s3_service"
# Only now, because other libraries print warnings too.
$VERBOSE = true

# @return [Array<String>] the lines of the output that mention the gem's files
def said_alone
  said, wrote = IO.pipe
  child = fork do
    [$stdout, $stderr].each { |stream| stream.reopen(wrote) }
    yield
  end
  wrote.close
  lines = said.read.lines(chomp: true).grep(/#{Regexp.escape(LIB)}/)
  Process.wait2(child).last.success? ? lines : ["failed", *lines]
end

def tried?(path) = RAILS || WITHOUT_RAILS.any? { |folder| path.match?(%r{\Aencrypted_s3_service/#{folder}(/|\.|\z)}) }

# A file in the folder of another file is a part of it, which only the other file loads, like `rotation/tally.rb` and
# `rotation.rb`.
def wholes(file)
  whole = "#{File.dirname(file)}.rb"
  whole == "#{LIB}/encrypted_s3_service.rb" || !File.exist?(whole) ? [] : [*wholes(whole), whole]
end

constants = EncryptedS3Service.constants.to_h { |name| [name, EncryptedS3Service.autoload?(name)] }.compact
constants.select! { |_, path| tried?(path) }
found = constants.keys.to_h { |name| [name, said_alone { EncryptedS3Service.const_get(name) }] }
Dir.glob("**/*.rb", base: LIB).select { |path| tried?(path) }.each do |path|
  file = File.join(LIB, path)
  found[path] = said_alone { [*wholes(file), file].each { |one| require one } }
end
found.each_pair { |name, lines| puts name, lines.first(3) unless lines.empty? }
puts "#{found.size} loaded"
