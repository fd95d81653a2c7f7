# frozen_string_literal: true

# The contents of the packages: files that are missing in the gemspec work only in a checkout.
RSpec.describe "The gem's specification" do
  checkout = File.expand_path("../..", __dir__)
  specification = Gem::Specification.load(File.join(checkout, "encrypted_s3_service.gemspec"))

  def links(text) = text.scan(/\]\(([^)#\s]+)|src="([^"]+)"/).flatten.compact.grep_v(/\A[a-z]+:/)

  it "has every file of the library, with any extension" do
    files = Dir.glob("{app,config,exe,lib,sig}/**/*", base: checkout)
    files.select! { |file| File.file?(File.join(checkout, file)) }
    expect(files.grep_v(/\.(so|bundle)\z/) - specification.files).to eq([])
  end

  it "has no specs, developers' tools or compiled extension" do
    folders = specification.files.map { |file| file[%r{\A[^/]+(?=/)}] }.compact.uniq
    expect(folders).to match_array(%w[app benchmarks config docs exe ext lib sig])
    expect(specification.files.grep(%r{\Aext/[^/]+/(?!src/).+/|\.(so|bundle|gem)\z})).to eq([])
  end

  it "has every document that its documents link to" do
    documents = specification.files.grep(/\.md\z/)
    expect(documents).to include("README.md", "docs/settings.md")
    named = documents.flat_map do |document|
      links(File.read(File.join(checkout, document), encoding: "UTF-8"))
        .map { |target| File.expand_path(target, "/#{File.dirname(document)}").delete_prefix("/") }
    end
    expect(named.uniq - specification.files).to eq([])
  end
end
