# frozen_string_literal: true

require_relative "../rails_helper"
require_relative "../support/puma_cluster"
require "json"

RSpec.describe "Puma with two workers and a preloaded application", if: Process.respond_to?(:fork) do
  # Sends a form with a file and fetches the file by the address that the application gives.
  # @return [Array] whether the file came back, whether the bucket holds it encrypted, and who answered
  def visit(http, data)
    form = Net::HTTP::Post.new("/documents")
    form.set_form([["file", StringIO.new(data), { filename: "film.mp4", content_type: "video/mp4" }]],
                  "multipart/form-data")
    created = http.request(form)
    raise "#{created.code} #{created.body[0, 500]}" unless created.code == "200"

    document = JSON.parse(created.body)
    read = http.get(document["path"])
    [read.body.b == data, stored_plaintext(document["key"]) == data, created["x-worker"], read["x-worker"]]
  end

  it "stores uploads of forms and serves them, in all workers at once" do
    PumaCluster.run do |cluster|
      visitors = Array.new(8) do |number|
        Thread.new do
          # Connections are spread over the workers, so each visit has its own.
          Array.new(2) { |turn| cluster.connect { |http| visit(http, random_bytes(6_000_000 + number, turn)) } }
        end
      end
      visits = visitors.flat_map(&:value)
      expect(visits.map { |visit| visit.first(2) }).to all(eq([true, true]))
      workers = visits.flat_map { |visit| visit.last(2) }.uniq
      expect(workers.size).to eq(2)
      expect(new_client.download("from-the-master")).to eq("stored before the fork")
      # Puma passes the signal on to itself when all is done.
      expect(cluster.stop).to have_attributes(termsig: 15).or(be_success)
    end
  end
end
