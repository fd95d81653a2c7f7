# frozen_string_literal: true

# The findings of the doctor, parsed from the lines in `output`.
module DoctorFindings
  # @return [Hash{String => Array(String, String)}] status and text of every line, by subject
  def findings
    output.string.lines.filter_map { |line| line.chomp.match(/\A  (\w+) +(\S.*?)  +(.*)\z/)&.captures }
          .to_h { |status, subject, text| [subject, [status, text]] }
  end
end
