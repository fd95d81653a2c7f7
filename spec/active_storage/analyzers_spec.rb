# frozen_string_literal: true

require_relative "../active_storage_helper"

RSpec.describe "What Active Storage finds out about a file" do
  # @return [Hash{Symbol => Object}] the metadata of a file that a record was given, after its jobs are done
  def metadata_of(data, filename)
    document = create_document(attachable(data, filename))
    expect(enqueued_jobs.pluck("job_class")).to include("ActiveStorage::AnalyzeJob")
    perform_enqueued_jobs
    document.reload.file.blob.metadata.symbolize_keys.except(:identified, :analyzed)
  end

  # Rails 8.2 analyzes a file before it stores it. Here it must analyze the stored file, as after a direct upload.
  def create_document(file)
    return Document.create!(file: file) unless ActiveStorage.respond_to?(:analyze)

    with_setting(:analyze, :lazily) { Document.create!(file: file).tap { |document| document.file.blob.analyze_later } }
  end

  %i[vips mini_magick].each do |processor|
    context "when #{processor} reads the pictures" do
      around { |example| with_setting(:variant_processor, processor) { example.run } }

      it "is a picture's width and height" do
        expect(metadata_of(Samples.jpeg(120, 80), "clouds.jpg")).to eq(width: 120, height: 80)
        expect(metadata_of(Samples.png(30, 50), "clouds.png")).to eq(width: 30, height: 50)
      end

      it "comes from #{processor}" do
        seen = []
        looking = ->(*, payload) { seen << payload[:analyzer] }
        ActiveSupport::Notifications.subscribed(looking, "analyze.active_storage") do
          blob_of(Samples.jpeg(120, 80), "clouds.jpg").analyze
        end
        expect(seen).to eq([processor.to_s])
      end

      it "is the displayed width and height of a picture taken with the camera held upright" do
        expect(metadata_of(Samples.turned_jpeg(80, 120), "clouds.jpg")).to eq(width: 80, height: 120)
      end
    end
  end

  it "is a film's size, duration and aspect ratio, and that it has sound" do
    expect(metadata_of(Samples.video, "film.mp4"))
      .to include(width: 96, height: 64, duration: be_within(0.2).of(2), audio: true, video: true)
  end

  it "is the displayed size of a film taken with the phone held upright" do
    expect(metadata_of(Samples.video(turned: true), "film.mp4"))
      .to include(width: 64, height: 96, angle: be_in([90, -90]))
  end

  it "is a recording's duration, rates and tags" do
    expect(metadata_of(Samples.audio, "tone.mp3"))
      .to include(duration: be_within(0.2).of(2), bit_rate: 64_000, sample_rate: 22_050)
  end

  it "is nothing for a file that was changed in the bucket, which is not marked as analyzed" do
    blob = blob_of(Samples.jpeg(120, 80), "clouds.jpg")
    headers, body = stored(blob.key)
    restore(blob.key, headers, body.tap { |bytes| bytes.setbyte(100, bytes.getbyte(100) ^ 1) })
    expect { blob.analyze }.to raise_error(ActiveStorage::IntegrityError)
    expect(blob.reload).not_to be_analyzed
  end

  it "is nothing for a file whose object was replaced by another of the same application" do
    first, second = %w[one.txt two.txt].map { |name| blob_of("the text of #{name}", name) }
    restore(second.key, *stored(first.key))
    expect { second.open(&:read) }.to raise_error(ActiveStorage::IntegrityError)
  end
end
