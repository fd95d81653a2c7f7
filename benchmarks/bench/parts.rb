# frozen_string_literal: true

require "fileutils"
require "json"
require_relative "results"
require_relative "work"

module Bench
  # Saves the rounds of works that were measured in several runs, until all of them are reported together. If a work is
  # measured again, the new results replace the earlier ones.
  class Parts
    # @param folder [String]
    def initialize(folder)
      @folder = folder
    end

    # @param results [Results]
    # @return [void]
    def keep(results)
      kept = read(results.server)
      results.rounds.each { |work, rounds| kept[key(work)] = rounds }
      FileUtils.mkdir_p(@folder)
      File.write(path(results.server), JSON.pretty_generate(kept))
    end

    # @param expected [Hash{String => Array<Work>}] by server
    # @return [Array(Array<Results>, Array<String>)] the results of all works, and the works without results
    def join(expected)
      missing = []
      results = expected.map do |server, works|
        kept = read(server)
        works.each_with_object(Results.new(server)) do |work, joined|
          kept.key?(key(work)) ? joined.add(work, kept[key(work)]) : missing << "#{server}: #{work.title}"
        end
      end
      [results, missing]
    end

    private

    # All values that identify a work.
    def key(work) = JSON.generate(work.to_h)

    def path(server) = File.join(@folder, "#{server}.json")

    def read(server)
      JSON.parse(File.read(path(server))).transform_values do |rounds|
        rounds.transform_values { |costs| costs.map { |cost| cost.transform_keys(&:to_sym) } }
      end
    rescue Errno::ENOENT
      {}
    end
  end
end
