# frozen_string_literal: true

require_relative "../active_storage_helper"

RSpec.describe "Attachments" do
  def pages(*texts) = texts.map { |text| attachable(text, "#{text}.txt") }

  def texts(document) = Document.find(document.id).pages.map(&:download)

  # @return [Array<Boolean>] which of the keys are in the bucket
  def in_bucket(keys) = keys.map { |key| server.head(bucket, key)[0] == 200 }

  describe "when there may be many of them" do
    let!(:document) { Document.create!(pages: pages("one", "two")) }
    let(:keys) { document.pages.map(&:key) }

    it "are added to the existing ones" do
      keys = objects_added { document.pages.attach(*pages("three")) }
      expect(texts(document)).to eq(%w[one two three])
      expect(all_decrypted(keys).values).to eq(%w[three])
    end

    it "are replaced, and the old ones are purged from the bucket" do
      old = keys
      added = objects_added { document.update!(pages: pages("three")) }
      expect(in_bucket(old)).to eq([true, true])
      perform_all_jobs
      expect([texts(document), in_bucket(old), in_bucket(added)]).to eq([%w[three], [false, false], [true]])
    end

    it "are purged at once, one of them or all" do
      document.pages.first.purge
      expect(in_bucket(keys)).to eq([false, true])
      Document.find(document.id).pages.purge
      expect([in_bucket(keys), texts(document)]).to eq([[false, false], []])
    end

    it "are purged in the background" do
      keys
      document.pages.purge_later
      expect([texts(document), in_bucket(keys)]).to eq([[], [true, true]])
      perform_all_jobs
      expect(in_bucket(keys)).to eq([false, false])
    end

    it "are detached without being deleted" do
      keys
      document.pages.detach
      perform_all_jobs
      expect([texts(document), in_bucket(keys)]).to eq([[], [true, true]])
    end

    it "are purged with their record" do
      keys
      document.destroy!
      perform_all_jobs
      expect(in_bucket(keys)).to eq([false, false])
      expect(ActiveStorage::Blob.where(key: keys)).to be_empty
    end
  end

  describe "when there is one" do
    let!(:document) { Document.create!(file: attachable("draft", "draft.txt")) }

    it "is replaced, and the old one is purged from the bucket" do
      old = document.file.key
      document.update!(file: attachable("final", "final.txt"))
      perform_all_jobs
      expect([document.reload.file.download, in_bucket([old])]).to eq(["final", [false]])
    end

    it "is purged when it is set to nil" do
      old = document.file.key
      document.update!(file: nil)
      perform_all_jobs
      expect([document.reload.file.attached?, in_bucket([old])]).to eq([false, [false]])
    end

    it "stays in the bucket as long as another record has it" do
      other = Document.create!(file: document.file.blob)
      document.destroy!
      perform_all_jobs
      expect(other.reload.file.download).to eq("draft")
    end
  end

  it "accepts every kind of attachable that Rails accepts" do
    file = Tempfile.new("report").tap { |report| report.write("a report") }
    file.rewind
    upload = ActionDispatch::Http::UploadedFile.new(tempfile: file, filename: "report.txt", type: "text/plain")
    given = [upload, File.new(file.path), Pathname(file.path), Rack::Test::UploadedFile.new(file.path, "text/plain"),
             blob_of("a report", "report.txt").signed_id]
    keys = given.map { |attachable| Document.create!(file: attachable).file.key }
    expect(keys.map { |key| decrypted(key) }).to eq(["a report"] * 5)
  end

  it "stores nothing in the bucket for an invalid record" do
    added = objects_added do
      Document.transaction do
        Document.create!(file: attachable("draft", "draft.txt"))
        raise ActiveRecord::Rollback
      end
    end
    expect(added).to eq([])
  end

  it "can be purged if it is missing in the bucket" do
    document = Document.create!(file: attachable("draft", "draft.txt"))
    server.delete(bucket, document.file.key)
    expect { document.file.purge }.not_to raise_error
  end
end
