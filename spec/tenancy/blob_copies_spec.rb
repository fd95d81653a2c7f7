# frozen_string_literal: true

require_relative "../active_storage_helper"
require_relative "../support/plain_by_default"

# Existing blobs are attached where files must be on the encrypted service.
RSpec.describe EncryptedS3Service::BlobCopy do
  include EncryptedObjects
  include ActiveStorageFeatures
  include_context "with an application that stores in plaintext by default"

  before { clear_enqueued_jobs }

  let(:text) { "a template of a contract" }
  let(:template) { blob_of(text, "Vertrag für A.txt", metadata: { custom: { "page" => 7 } }) }

  def copying(value = true) # rubocop:disable Style/OptionalBooleanParameter
    EncryptedS3Service.settings.copy_attached_blobs = value
    yield
  ensure
    EncryptedS3Service.settings.copy_attached_blobs = nil
  end

  # The whole row of a blob and its object.
  def state_of(blob) = [ActiveStorage::Blob.find(blob.id).attributes, blob.service.download(blob.key)]

  def expect_copy(copy, original, content = text)
    expect(copy).to have_attributes(service_name: "encrypted", filename: original.filename, checksum: original.checksum,
                                    content_type: original.content_type, byte_size: original.byte_size)
    expect([copy.id, copy.key]).not_to include(original.id, original.key)
    expect(encrypted_in_bucket?(copy, content)).to be(true)
    expect(ActiveStorage::Blob.find(copy.id).download).to be_bytes(content)
  end

  it "are copied if the attachment says so, given as a blob, a signed id or another record's attachment" do
    other = Contract.create!(flyer: template)
    before = state_of(template)
    [template, template.signed_id, other.flyer.blob].each do |given|
      contract = Contract.create!(template: given)
      expect_copy(contract.reload.template.blob, template)
      expect(contract.template.blob.custom_metadata).to eq("page" => 7)
    end
    expect(state_of(template)).to eq(before)
    expect(other.reload.flyer.blob).to eq(template)
  end

  it "are copied by all attachments if the application says so, except those that opt out" do
    contract = copying { Contract.create!(contract_pdf: template, appendices: [template.signed_id]) }
    expect_copy(contract.contract_pdf.blob, template)
    expect_copy(contract.appendices.sole.blob, template)
    expect(copying { Contract.new(original: template).valid? }).to be(false)
    expect(Contract.new(contract_pdf: template)).not_to be_valid
    expect(Contract.reflect_on_attachment(:template).options).to include(copy_attached_blobs: true)
  end

  it "are copied for a tenant in a block and for the current tenant" do
    template
    copying do
      contracts = [customer.with_s3_settings { Contract.create!(note: template) },
                   Current.set(organisation: customer) { Contract.create!(note: template.signed_id) }]
      contracts.each { |contract| expect_copy(contract.note.blob, template) }
      plain = Current.set(organisation: other_customer) { Contract.create!(note: template) }
      expect(plain.note.blob).to eq(template)
    end
  ensure
    Current.reset
  end

  it "are copied from one customer's key to another's" do
    keys = { "1" => "a" * 32, "2" => "b" * 32 }
    EncryptedS3Service.settings.tenant_keys = { encrypted: keys }
    EncryptedS3Service.instance_variable_set(:@resolved_services, nil)
    first = blob_of(text, "a.txt", service_name: "encrypted@1")
    contract = copying { EncryptedS3Service.with_service("encrypted@2") { Contract.create!(note: first) } }
    expect(stored_plaintext(contract.note.key, "b" * 32)).to eq(text)
    expect(stored_plaintext(first.key, "a" * 32)).to eq(text)
  ensure
    EncryptedS3Service.settings.tenant_keys = nil
    EncryptedS3Service.instance_variable_set(:@resolved_services, nil)
  end

  it "keep the results of analysis: a picture is not analyzed again" do
    picture = blob_of(Samples.jpeg(120, 80), "a.jpg")
    picture.analyze
    copy = perform_enqueued_jobs { Contract.create!(template: picture) }.template.blob
    expect(copy.metadata).to include("analyzed" => true, "identified" => true, "width" => 120, "height" => 80)
  end

  it "lose the entries of this gem" do
    metadata = { "encrypted_s3_anything" => "x", "identified" => true, "custom" => { "a" => 1 } }
    template.update_columns(metadata: metadata)
    copy = Contract.create!(template: template.reload).template.blob
    expect(copy.metadata.except("analyzed")).to eq("identified" => true, "custom" => { "a" => 1 })
  end

  it "get the type of their content if they were not identified before, and the original is unchanged" do
    png = "\x89PNG\r\n\x1A\n".b
    direct = ActiveStorage::Blob.create_before_direct_upload!(
      filename: "a", byte_size: png.bytesize, checksum: md5(png), content_type: "text/plain", service_name: :local
    )
    direct.service.upload(direct.key, StringIO.new(png))
    expect(Contract.create!(template: direct).template.blob.content_type).to eq("image/png")
    expect(ActiveStorage::Blob.find(direct.id)).to have_attributes(content_type: "text/plain", identified: nil)
  end

  it "are copied one by one if there are several, beside new files and those of the record" do
    contract = Contract.create!(pictures: [attachable("first", "1.txt")])
    first = contract.pictures.sole.blob
    contract.update!(pictures: [first.signed_id, template, template.signed_id, attachable("new", "2.txt")])
    blobs = contract.reload.pictures.map(&:blob)
    expect(blobs.first).to eq(first)
    expect(blobs.map(&:download)).to eq(["first", text, text, "new"])
    expect(blobs.map(&:service_name)).to all(eq("encrypted"))
    expect { contract.update!(pictures: contract.pictures.map(&:signed_id)) }.not_to change(ActiveStorage::Blob, :count)
  end

  it "are copied when they are attached in several steps before the record is saved" do
    contract = Contract.new
    contract.pictures.attach(template)
    contract.pictures.attach(attachable("new", "2.txt"))
    contract.save!
    expect(Contract.find(contract.id).pictures.map(&:download)).to eq([text, "new"])
  end

  it "are copied in bounded memory: 64 MiB, from an encrypted and from an unencrypted service" do
    size = 64.megabytes
    content = random_bytes(size)
    %w[local elsewhere].each do |service|
      server.create_bucket("#{bucket}-elsewhere")
      original = blob_of(content, "film.bin", service_name: service, identify: false)
      copy = Contract.create!(template: original).template.blob
      expect(stored_plaintext(copy.key)).to be_bytes(content)
    end
    file = EncryptedS3Service::StoredFile.new(ActiveStorage::Blob.last)
    held = 0
    held = [held, file.instance_variable_get(:@held).bytesize].max while file.read(1.megabyte)
    expect([held, file.position]).to match([be <= 6.megabytes, size])
  end

  it "can be read like any IO: in pieces, into a buffer, and again from the beginning" do
    file = EncryptedS3Service::StoredFile.new(template)
    buffer = +"before"
    expect([file.read(3), file.read(4, buffer), buffer, file.position]).to eq([text[0, 3], text[3, 4], text[3, 4], 7])
    expect([file.read, file.read, file.read(1), file.read(0)]).to eq([text[7..], "", nil, ""])
    expect(file.read(1, buffer)).to be_nil
    expect(buffer).to eq("")
    file.rewind
    expect([file.read(100), file.size]).to eq([text, text.bytesize])
  end

  describe "that cannot be copied" do
    def expect_nothing(error)
      template
      keys = server.list(bucket)
      contracts = Contract.count
      blobs = ActiveStorage::Blob.count
      expect { Contract.create!(template: template) }.to raise_error(error)
      expect([Contract.count, ActiveStorage::Blob.count]).to eq([contracts, blobs])
      expect(server.list(bucket)).to match_array(keys)
    end

    it "leave nothing when their content does not match the checksum" do
      File.binwrite(template.service.path_for(template.key), text.reverse)
      expect_nothing(ActiveStorage::IntegrityError)
    end

    it "leave nothing when their content is shorter than the row says and there is no checksum" do
      template.update_columns(checksum: nil, byte_size: text.bytesize + 1,
                              metadata: { "composed" => true, "identified" => true })
      expect_nothing(ActiveStorage::IntegrityError)
    end

    it "leave nothing when their content is missing" do
      template.service.delete(template.key)
      expect_nothing(ActiveStorage::FileNotFoundError)
    end
  end

  it "leave no copy when the transaction fails, and are copied by the next attempt" do
    template
    contract = Contract.new(template: template)
    keys = server.list(bucket)
    Contract.transaction do
      contract.save!
      expect(server.list(bucket).size).to eq(keys.size + 1)
      raise ActiveRecord::Rollback
    end
    expect(server.list(bucket)).to match_array(keys)
    contract = Contract.new(template: template)
    contract.save!
    expect_copy(contract.template.blob, template)
  end

  describe "when a client has just uploaded them to the wrong service" do
    let(:direct) do
      announced = { filename: "a.txt", byte_size: text.bytesize, checksum: md5(text), content_type: "text/plain" }
      ActiveStorage::Blob.create_before_direct_upload!(**announced, service_name: :local).tap do |blob|
        blob.service.upload(blob.key, StringIO.new(text))
      end
    end

    def expect_only_copy(model)
      record = perform_enqueued_jobs { model.create!(template: direct.signed_id) }
      expect_copy(record.template.blob, direct)
      expect([ActiveStorage::Blob.exists?(direct.id), direct.service.exist?(direct.key)]).to eq([false, false])
    end

    it "leave no plaintext" do
      expect_only_copy(Contract)
    end

    it "leave no plaintext if the record is in another database" do
      stub_const("ElsewhereRecord", Class.new(ActiveRecord::Base) { self.abstract_class = true })
      ElsewhereRecord.establish_connection(adapter: "sqlite3", database: ":memory:")
      ElsewhereRecord.connection.create_table(:memos, force: true)
      stub_const("Memo", Class.new(ElsewhereRecord) do
        has_one_attached :template, service: :encrypted, copy_attached_blobs: true
      end)
      expect_only_copy(Memo)
    ensure
      ElsewhereRecord.remove_connection
    end
  end

  describe "in a rich text" do
    let(:picture) { Samples.jpeg(120, 80) }
    let(:pasted) { blob_of(picture, "clouds.jpg") }
    let(:other) { blob_of("text", "notes.txt") }

    after { Current.reset }

    def embed(blob)
      url = "http://www.example.com/rails/active_storage/blobs/redirect/#{blob.signed_id}/#{blob.filename}?a=1"
      %(<action-text-attachment sgid="#{blob.attachable_sgid}" url="#{url}" caption="Sky"></action-text-attachment>)
    end

    def html = "<div>Look: #{embed(pasted)} and #{embed(other)} and #{embed(pasted)}</div>"

    # Rails 8.2 has several editors.
    def editor_html(text) = text.respond_to?(:to_editor_html) ? text.to_editor_html : text.to_trix_html

    it "are refused with a message unless they are copied" do
      html = self.html
      Current.organisation = customer
      article = Article.new(body: html)
      expect(article.save).to be(false)
      expect(article.errors.full_messages).to eq(
        ["Rich text body embeds was not uploaded to encrypted storage. Please choose the file again"]
      )
      Current.organisation = other_customer
      expect(article.save).to be(true)
    end

    it "are copied, and the text refers to the copies, in an editor too" do
      html = self.html
      before = [state_of(pasted), state_of(other)]
      Current.organisation = customer
      article = Article.find(copying { Article.create!(body: html) }.id)
      embeds = article.body.embeds.map(&:blob)
      expect(embeds.map(&:service_name)).to eq(%w[encrypted encrypted])
      expect(embeds.map(&:download)).to contain_exactly(be_bytes(picture), "text")
      shown = article.body.body.attachables
      expect(shown.map(&:filename).map(&:to_s)).to eq(%w[clouds.jpg notes.txt clouds.jpg])
      expect(shown.uniq).to match_array(embeds)
      markup = article.body.body.to_html + editor_html(article.body)
      expect(markup).to include(embeds.first.signed_id, 'caption="Sky"', "?a=1")
      expect(markup).not_to include(pasted.signed_id)
      expect([state_of(pasted), state_of(other)]).to eq(before)
    end

    it "are copied once, even if the text is saved several times" do
      html = self.html
      Current.organisation = customer
      copying do
        article = Article.create!(body: html)
        expect { article.update!(title: "again") }.not_to change(ActiveStorage::Blob, :count)
        again = Article.find(article.id)
        expect { again.update!(body: editor_html(again.body)) }.not_to change(ActiveStorage::Blob, :count)
        expect(again.reload.body.embeds.map { |embed| embed.blob.service_name }).to all(eq("encrypted"))
      end
    end

    it "leave no copy when the transaction fails" do
      html = self.html
      keys = server.list(bucket)
      Current.organisation = customer
      copying do
        Article.transaction do
          Article.create!(body: html)
          raise ActiveRecord::Rollback
        end
      end
      expect(server.list(bucket)).to match_array(keys)
    end
  end
end
