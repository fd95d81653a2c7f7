# frozen_string_literal: true

ActiveRecord::Schema[7.1].define(version: 1) do
  create_table :documents, force: :cascade do |t|
    t.string :title
    t.timestamps
  end

  create_table :action_text_rich_texts, force: :cascade do |t|
    t.string :name, null: false
    t.text :body
    t.references :record, polymorphic: true, null: false, index: false
    t.timestamps
    t.index %i[record_type record_id name], name: "rich_text_uniqueness", unique: true
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

  create_table :organisations, force: :cascade do |t|
    t.string :name
    t.boolean :encrypted, null: false, default: false
  end

  create_table :contracts, force: :cascade do |t|
    t.references :organisation
  end

  # As delayed_job_active_record's generator makes it.
  create_table :delayed_jobs, force: :cascade do |t|
    t.integer :priority, default: 0, null: false
    t.integer :attempts, default: 0, null: false
    t.text :handler, null: false
    t.text :last_error
    t.datetime :run_at
    t.datetime :locked_at
    t.datetime :failed_at
    t.string :locked_by
    t.string :queue
    t.timestamps null: true
    t.index %i[priority run_at], name: "delayed_jobs_priority"
  end
end
