# frozen_string_literal: true

# The findings of the doctor, from the lines that it wrote to `output`.
module DoctorFindings
  # @return [Hash{String => Array(String, String)}] status and text of every line, by what it is about
  def findings
    output.string.lines.filter_map { |line| line.chomp.match(/\A  (\w+) +(\S.*?)  +(.*)\z/)&.captures }
          .to_h { |status, subject, text| [subject, [status, text]] }
  end
end
