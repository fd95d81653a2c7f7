# frozen_string_literal: true

require_relative "meeting"

module Demo
  # A customer with encryption and one without use the same application and bucket at the same time.
  class TwoCustomers
    # Files that each customer sends in one request.
    FILES = 4
    private_constant :FILES

    # @param workplace [Workplace]
    # @param url [String] of the application
    def initialize(workplace, url)
      @workplace = workplace
      @text = "What both customers store. #{SecureRandom.hex}\n" * 40
      @encrypted, @plain = [true, false].map { |encrypted| Organisation.find_by!(encrypted: encrypted) }
      @visitors = [@encrypted, @plain].to_h { |customer| [customer, Visitor.new(url).become(customer)] }
    end

    # @param checks [Checks]
    # @return [void]
    def check(checks)
      checks.add("#{FILES} files with the same text from each, concurrently: all are stored", problem_of_storing)
      checks.add("#{@encrypted.name}: all are ciphertext in the bucket",
                 problem_of(@encrypted) { |headers, body| ciphertext?(headers, body) })
      checks.add("#{@plain.name}: all are plaintext in the bucket",
                 problem_of(@plain) { |headers, body| plaintext?(headers, body) })
      checks.add("each reads its own files, byte for byte", problem_of_reading)
      checks.add("each sees and deletes only its own files", problem_of_others)
      checks.add("a direct upload that names the plain service: refused with 403", problem_of_choosing)
    end

    private

    def problem_of_storing
      codes = []
      met = Meeting.hold do
        codes = @visitors.values.map { |visitor| Thread.new { send_files(visitor).code } }.map(&:value)
      end
      return "the requests did not overlap" unless met

      "the answers are #{codes.join(" and ")}" unless codes == %w[302 302]
    end

    def send_files(visitor)
      visitor.send_files("/documents", "files[]", Array.new(FILES) { |index| ["Note #{index + 1}.txt", @text] })
    end

    def documents(customer) = customer.documents.newest_first.first(FILES)

    # @yieldparam headers [Hash] of an object
    # @yieldparam body [String]
    # @yieldreturn [Boolean] whether the object is right
    def problem_of(customer)
      right = documents(customer).count do |document|
        _, headers, body = @workplace.server.get(@workplace.bucket, document.file.key)
        yield headers, body.b
      end
      "#{FILES - right} of #{FILES} are not" unless right == FILES
    end

    def ciphertext?(headers, body) = enveloped?(headers) && !body.include?(@text[0, 16])

    def plaintext?(headers, body) = !enveloped?(headers) && body == @text.b

    def enveloped?(headers) = headers.key?("x-amz-meta-x-amz-key-v2")

    def problem_of_reading
      wrong = @visitors.flat_map do |customer, visitor|
        documents(customer).reject do |document|
          path = urls.rails_storage_proxy_path(document.file, only_path: true)
          visitor.get(path).body.b == @text.b
        end
      end
      "#{wrong.size} files have other bytes" if wrong.any?
    end

    def urls = Rails.application.routes.url_helpers

    def problem_of_others
      others = { @encrypted => @plain, @plain => @encrypted }
      @visitors.each do |customer, visitor|
        foreign = documents(others.fetch(customer)).first
        return "#{customer.name} sees a file of the other" if visitor.get("/").body.include?(foreign.file.key)

        code = visitor.submit("/documents/#{foreign.id}", "_method" => "delete").code
        return "the answer to deleting a file of the other is #{code}" unless code == "404"
      end
      nil
    end

    def problem_of_choosing
      blob = { filename: "a.txt", content_type: "text/plain", byte_size: 1, checksum: "DMF1ucDxtqgxw5niaXcmYQ==" }
      answer = @visitors.fetch(@encrypted).post_json("/rails/active_storage/direct_uploads?service_name=amazon",
                                                     { blob: blob })
      "the answer is #{answer.code}" unless answer.code == "403"
    end
  end
end
