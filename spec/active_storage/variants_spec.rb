# frozen_string_literal: true

require_relative "../active_storage_helper"

RSpec.describe "Variants of a picture", type: :request do
  let(:picture) { Samples.jpeg(120, 80) }

  # @return [String] the key of the one object that a variant is
  def variant_object
    keys = objects_added { yield.processed }
    expect(keys.size).to eq(1)
    keys.first
  end

  %i[vips mini_magick].product([true, false]).each do |processor, tracked|
    context "made by #{processor}, #{tracked ? "tracked" : "not tracked"} in the database" do
      around do |example|
        with_setting(:variant_processor, processor) { with_setting(:track_variants, tracked) { example.run } }
      end

      it "are smaller pictures, and are stored encrypted in the bucket like the picture" do
        blob = blob_of(picture, "clouds.jpg")
        key = variant_object { blob.variant(resize_to_limit: [60, 60]) }
        expect(dimensions(decrypted(key))).to eq([60, 40])
        expect(decrypted(blob.key)).to be_bytes(picture)
      end

      it "are read decrypted, in another format too" do
        variant = blob_of(picture, "clouds.jpg").variant(resize_to_fill: [30, 30], format: :png)
        key = variant_object { variant }
        expect(variant.download).to be_bytes(decrypted(key))
        expect([format_of(variant.download), dimensions(variant.download)]).to eq(["PNG", [30, 30]])
        expect([variant.filename.to_s, variant.content_type]).to eq(["clouds.png", "image/png"])
      end

      it "are generated once: a second request gets the same object" do
        blob = blob_of(picture, "clouds.jpg")
        blob.variant(resize_to_limit: [60, 60]).processed
        again = ActiveStorage::Blob.find(blob.id).variant(resize_to_limit: [60, 60])
        expect(objects_added { again.processed }).to eq([])
      end

      it "are sent to a visitor by the application" do
        variant = blob_of(picture, "clouds.jpg").variant(resize_to_limit: [60, 60])
        keys = objects_added { get rails_storage_proxy_path(variant) }
        expect(response).to have_http_status(:ok)
        expect(response.headers).to include("content-type" => "image/jpeg",
                                            "content-disposition" => include("clouds.jpg"))
        expect(response.body.b).to be_bytes(decrypted(keys.first))
        expect(dimensions(response.body.b)).to eq([60, 40])
      end

      it "are purged with the picture, and nothing of another picture is" do
        other = blob_of(picture, "other.jpg")
        blob = blob_of(picture, "clouds.jpg")
        kept = objects_added { other.variant(resize_to_limit: [20, 20]).processed }
        keys = objects_added { [20, 30].each { |size| blob.variant(resize_to_limit: [size, size]).processed } }
        expect(keys.size).to eq(2)
        perform_enqueued_jobs { blob.purge }
        expect(server.list(bucket) & [blob.key, *keys]).to eq([])
        expect(server.list(bucket)).to include(other.key, *kept)
      end
    end
  end

  it "are stored below the picture's own folder without a row if they are not tracked" do
    with_setting(:track_variants, false) do
      blob = blob_of(picture, "clouds.jpg")
      variant = blob.variant(resize_to_limit: [60, 60])
      keys = objects_added { variant.processed }
      expect(keys).to eq([variant.key]).and(all(start_with("variants/#{blob.key}/")))
      expect(ActiveStorage::Blob.exists?(key: variant.key)).to be(false)
    end
  end

  it "are not generated from a picture that was changed in the bucket" do
    blob = blob_of(picture, "clouds.jpg")
    headers, body = stored(blob.key)
    restore(blob.key, headers, body.tap { |bytes| bytes.setbyte(100, bytes.getbyte(100) ^ 1) })
    [true, false].each do |tracked|
      with_setting(:track_variants, tracked) do
        variant = blob.variant(resize_to_limit: [60, 60])
        expect(objects_added { expect { variant.processed }.to raise_error(ActiveStorage::IntegrityError) }).to eq([])
      end
    end
  end

  it "can be deleted one by one" do
    [true, false].each do |tracked|
      with_setting(:track_variants, tracked) do
        variant = blob_of(picture, "clouds.jpg").variant(resize_to_limit: [60, 60])
        keys = objects_added { variant.processed }
        perform_enqueued_jobs { variant.destroy }
        expect(server.list(bucket) & keys).to eq([])
      end
    end
  end

  describe "that a model names" do
    def attach = Photo.create!(image: attachable(picture, "clouds.jpg"))

    it "are generated on demand" do
      photo = attach
      keys = objects_added { photo.image.variant(:thumb).processed }
      expect(keys.map { |key| dimensions(decrypted(key)) }).to eq([[40, 27]])
      expect(photo.image.representation(:thumb).download).to be_bytes(decrypted(keys.first))
    end

    it "are preprocessed if the model says so" do
      photo = attach
      keys = objects_added { perform_all_jobs }
      expect(keys.map { |key| dimensions(decrypted(key)) }).to eq([[30, 20]])
      expect(objects_added { Photo.find(photo.id).image.variant(:card).processed }).to eq([])
    end
  end
end
