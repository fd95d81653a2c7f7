# frozen_string_literal: true

ActiveRecord::Schema[7.1].define(version: 1) do
  create_table :organisations, force: :cascade do |t|
    t.string :name, null: false
    t.boolean :encrypted, null: false
    t.timestamps
  end

  create_table :documents, force: :cascade do |t|
    t.belongs_to :organisation, null: false
    t.timestamps
  end

  create_table :active_storage_blobs, force: :cascade do |t|
    t.string :key, null: false, index: { unique: true }
    t.string :filename, null: false
    t.string :content_type
    t.text :metadata
    t.string :service_name, null: false
    t.bigint :byte_size, null: false
    t.string :checksum
    t.datetime :created_at, null: false
  end

  create_table :active_storage_attachments, force: :cascade do |t|
    t.string :name, null: false
    t.references :record, polymorphic: true, null: false, index: false
    t.references :blob, null: false
    t.datetime :created_at, null: false
    t.index %i[record_type record_id name blob_id], name: "attachment_uniqueness", unique: true
  end

  create_table :active_storage_variant_records, force: :cascade do |t|
    t.belongs_to :blob, null: false, index: false
    t.string :variation_digest, null: false
    t.index %i[blob_id variation_digest], name: "variant_uniqueness", unique: true
  end
end
