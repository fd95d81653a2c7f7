# frozen_string_literal: true

# Equality of bytes with any encoding. Unlike `eq`, it shows no diff: for megabytes without line breaks a diff takes
# minutes.
RSpec::Matchers.define :be_bytes do |expected|
  match { |actual| actual.is_a?(String) && actual.b == expected.b }

  failure_message do |actual|
    next "expected #{expected.bytesize} bytes, got #{actual.inspect}" unless actual.is_a?(String)

    first = expected.each_byte.zip(actual.each_byte).find_index { |wanted, got| wanted != got }
    "expected #{expected.bytesize} bytes, got #{actual.bytesize}, the first that differs is number #{first.inspect}"
  end
end
