# frozen_string_literal: true

require_relative "../active_storage_helper"

RSpec.describe "Previews", type: :request do
  files = {
    "a PDF" => ["will.pdf", -> { Samples.pdf }, 2.0],
    "a film" => ["film.mp4", -> { Samples.video }, 1.5]
  }

  def pictures_added(&) = all_decrypted(objects_added(&)).values

  files.each do |what, (filename, sample, aspect)|
    context "of #{what}" do
      let(:file) { instance_exec(&sample) }
      let(:blob) { blob_of(file, filename) }

      before { blob }

      it "are pictures, and they and their variants are stored encrypted in the bucket" do
        pictures = pictures_added { blob.preview(resize_to_limit: [60, 60]).processed }
        expect(pictures.size).to eq(2)
        sizes = pictures.map { |picture| dimensions(picture) }.sort
        expect(sizes.first).to eq([60, (60 / aspect).round])
        expect(sizes.last.first.fdiv(sizes.last.last)).to be_within(0.02).of(aspect)
        expect(decrypted(blob.key)).to be_bytes(file)
      end

      it "are sent to a visitor by the application" do
        preview = blob.preview(resize_to_limit: [60, 60])
        added = pictures_added { get rails_storage_proxy_path(preview) }
        expect(response).to have_http_status(:ok)
        expect(response.headers["content-type"]).to start_with("image/")
        expect(added.map(&:b)).to include(response.body.b)
        expect(dimensions(response.body.b).first).to eq(60)
      end

      it "are the result of `representation`" do
        picture = nil
        pictures_added { picture = blob.representation(resize_to_limit: [60, 60]).processed.download }
        expect(dimensions(picture).first).to eq(60)
      end

      it "are stored in the service of the file" do
        blob.preview({}).processed
        expect(blob.reload.preview_image.blob).to have_attributes(service_name: "encrypted")
      end

      it "are purged with the file" do
        keys = objects_added { blob.preview(resize_to_limit: [60, 60]).processed }
        perform_enqueued_jobs { blob.reload.purge }
        expect(server.list(bucket) & [blob.key, *keys]).to eq([])
      end
    end
  end

  it "are generated in the background for a model with preprocessed variants" do
    photo = Photo.create!(image: attachable(Samples.pdf, "will.pdf"))
    # The second is that of Rails 8.2.
    expect(enqueued_jobs.pluck("job_class")).to include("ActiveStorage::PreviewImageJob")
      .or(include("ActiveStorage::CreateVariantsJob"))
    pictures = pictures_added { perform_all_jobs }
    expect(pictures.map { |picture| dimensions(picture) }).to include([30, 20])
    expect(photo.image.blob.reload.preview_image).to be_attached
    expect(objects_added { Photo.find(photo.id).image.representation(:card).processed }).to eq([])
  end

  it "leave no plaintext in a file of this machine" do
    blob = blob_of(Samples.pdf, "will.pdf")
    Dir.mktmpdir do |folder|
      allow(Dir).to receive(:tmpdir).and_return(folder)
      seen = []
      looking = ->(*) { seen.concat(Dir.children(folder)) }
      ActiveSupport::Notifications.subscribed(looking, "preview.active_storage") { blob.preview({}).processed }
      expect(seen).not_to eq([])
      expect(Dir.children(folder)).to eq([])
    end
  end

  it "are not generated from a file that was changed in the bucket" do
    blob = blob_of(Samples.pdf, "will.pdf")
    headers, body = stored(blob.key)
    restore(blob.key, headers, body.tap { |bytes| bytes.setbyte(100, bytes.getbyte(100) ^ 1) })
    added = objects_added do
      expect { blob.preview({}).processed }.to raise_error(ActiveStorage::IntegrityError)
    end
    expect(added).to eq([])
  end
end
