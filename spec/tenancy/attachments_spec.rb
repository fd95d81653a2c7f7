# frozen_string_literal: true

require_relative "../rails_helper"
require_relative "../support/plain_by_default"

RSpec.describe Contract, "with files for services of their own" do
  include_context "with an application that stores in plaintext by default"

  def file(text = "terms", **more) = { io: StringIO.new(text), filename: "a.txt", **more }

  # A blob after a direct upload.
  def uploaded_to(service, text = "terms")
    ActiveStorage::Blob.create_and_upload!(**file(text), service_name: service)
  end

  describe "service: and the switch" do
    it "prefers the attribute's service to the switch, and the switch to the default" do
      switches = [nil, :encrypted, :mirrored]
      places = switches.map do |service|
        EncryptedS3Service.with_service(service) do
          contract = described_class.create!(contract_pdf: file, flyer: file, note: file)
          [contract.contract_pdf, contract.flyer, contract.note].map { |attached| attached.blob.service_name }
        end
      end
      expect(places).to eq([%w[encrypted local local], %w[encrypted local encrypted], %w[encrypted local mirrored]])
    end

    it "prefers the attribute's Proc in the same way", if: Contract.method_defined?(:scan) do
      places = [customer, other_customer].flat_map do |organisation|
        [nil, :encrypted].map do |service|
          EncryptedS3Service.with_service(service) do
            described_class.create!(organisation: organisation, scan: file).scan.blob.service_name
          end
        end
      end
      expect(places).to eq(%w[encrypted encrypted local local])
    end

    it "prefers the service that is given with the file to all others" do
      contract = EncryptedS3Service.with_service(:encrypted) do
        described_class.create!(flyer: file(service_name: :mirrored))
      end
      expect(contract.flyer.blob.service_name).to eq("mirrored")
    end

    it "encrypts the files of the attribute" do
      contract = described_class.create!(contract_pdf: file("our terms"))
      expect(encrypted_in_bucket?(contract.contract_pdf.blob, "our terms")).to be(true)
    end
  end

  describe "a blob on another service" do
    let(:message) { "was not uploaded to encrypted storage. Please choose the file again" }

    it "is refused also when a client names the service in parameters" do
      client = { io: StringIO.new("terms"), filename: "a.txt", service_name: "local" }
      parameters = ActionController::Parameters.new(contract_pdf: client).permit!
      contract = described_class.new(parameters)
      expect(contract.save).to be(false)
      expect(contract.errors.details[:contract_pdf]).to eq([{ error: :stored_elsewhere }])
    end

    it "is refused by an attribute of the encrypted service, with a message" do
      contract = described_class.new(contract_pdf: uploaded_to(:local).signed_id)
      expect(contract.save).to be(false)
      expect(contract.errors.full_messages).to eq(["Contract pdf #{message}"])
      expect(contract.errors.details[:contract_pdf]).to eq([{ error: :stored_elsewhere }])
    end

    it "is refused when it is given as a blob, to a stored record, or among several" do
      contract = described_class.create!
      expect(contract.contract_pdf.attach(uploaded_to(:local))).to be_nil
      expect(contract.reload.contract_pdf).not_to be_attached
      expect(contract.update(appendices: %i[encrypted local].map { |service| uploaded_to(service) })).to be(false)
      expect(contract.errors[:appendices]).to eq([message])
    end

    it "is refused because of the Proc's service", if: Contract.method_defined?(:scan) do
      contract = described_class.new(organisation: customer, scan: uploaded_to(:local).signed_id)
      expect(contract).not_to be_valid
      contract.organisation = other_customer
      expect(contract).to be_valid
    end

    it "is refused by any attribute while an encrypted customer is set, unless the attribute names a service" do
      contract = described_class.new(note: uploaded_to(:local).signed_id, flyer: uploaded_to(:local).signed_id)
      expect(customer.with_s3_settings { contract.valid? }).to be(false)
      expect(contract.errors.attribute_names).to eq([:note])
      expect(other_customer.with_s3_settings { contract.valid? }).to be(true)
    end

    it "is refused when it was assigned before the customer was known" do
      contract = described_class.new(note: file)
      expect(customer.with_s3_settings { contract.save }).to be(false)
    end

    # The message for a reader of that language.
    def said_in(locale)
      I18n.with_locale(locale) do
        contract = described_class.new(contract_pdf: uploaded_to(:local).signed_id)
        contract.valid?
        contract.errors[:contract_pdf].sole
      end
    end

    it "is refused in a row that had another file before" do
      row = described_class.create!(contract_pdf: file).contract_pdf_attachment
      expect { row.update!(blob: uploaded_to(:local)) }.to raise_error(ActiveRecord::RecordInvalid)
      expect(row.reload.blob.service_name).to eq("encrypted")
    end

    it "is refused in a row that is moved to another record or attribute" do
      row = Contract.create!(note: store).note.attachment
      expect { row.update!(name: "contract_pdf") }.to raise_error(ActiveRecord::RecordInvalid, /encrypted storage/)
      document = Document.create!(file: store)
      other = Document.create!
      customer.with_s3_settings do
        expect { document.file.attachment.update!(record: other) }.to raise_error(ActiveRecord::RecordInvalid)
      end
      document.file.attachment.reload.update!(record: other)
      expect(other.reload.file.blob.service_name).to eq("local")
    end

    it "is refused when the attribute is bypassed, as by a gem that clones records" do
      contract = Contract.create!
      elsewhere = uploaded_to("local")
      right = uploaded_to("encrypted")
      [-> { ActiveStorage::Attachment.create!(record: contract, name: "pictures", blob: elsewhere) },
       -> { contract.pictures_attachments.create!(name: "pictures", blob: elsewhere) },
       -> { contract.pictures_blobs << elsewhere },
       -> { ActiveStorage::Attachment.create!(record: contract, name: "template", blob: elsewhere) }]
        .each { |call| expect(&call).to raise_error(ActiveRecord::RecordInvalid, /not uploaded to encrypted storage/) }
      copy = Contract.new
      copy.pictures_attachments.build(name: "pictures", blob: elsewhere)
      expect(copy.save).to be(false)
      ActiveStorage::Attachment.create!(record: contract, name: "pictures", blob: right)
      ActiveStorage::Attachment.create!(record: contract, name: "flyer", blob: elsewhere.reload)
      expect([contract.reload.pictures.map(&:blob), contract.flyer.blob]).to eq([[right], elsewhere])
    end

    it "is refused when the association of a single file is assigned, as by a gem that clones records" do
      elsewhere = uploaded_to("local")
      row = ActiveStorage::Attachment.new(name: "contract_pdf", blob: elsewhere)
      [{ contract_pdf_blob: elsewhere }, { contract_pdf_attachment: row }].each do |assigned|
        contract = described_class.new(**assigned)
        expect(contract.save).to be(false)
        expect(contract.errors[:contract_pdf]).to contain_exactly(/not uploaded to encrypted storage/)
      end
      contract = described_class.create!(contract_pdf_blob: uploaded_to("encrypted"), flyer_blob: elsewhere.reload)
      expect([contract.reload.contract_pdf, contract.flyer]).to all(be_attached)
      expect(contract.update(contract_pdf_blob: elsewhere)).to be(false)
      # The attribute replaces what is assigned to the association.
      expect(contract.update(contract_pdf: file)).to be(true)
    end

    describe "and is reported" do
      around do |example|
        I18n.available_locales = %i[en de fr es it nl pl pt pt-BR sv]
        example.run
      ensure
        # Those that there are texts of, again.
        I18n.available_locales = []
      end

      it "in the reader's language" do
        said = %i[en de fr es it nl pl pt].to_h { |locale| [locale, said_in(locale)] }
        expect(said.values.uniq.size).to eq(8)
        words = { de: /liegt nicht im verschlüsselten Speicher/, fr: /stockage chiffré/, nl: /versleutelde opslag/,
                  es: /almacenamiento cifrado/, it: /archivio cifrato/, pl: /zaszyfrowanym magazynie/,
                  pt: /armazenamento cifrado/ }
        expect(said).to match(include(words))
        expect(said_in(:"pt-BR")).to eq(said[:pt])
      end

      it "in English in a language that this gem does not have" do
        expect(said_in(:sv)).to eq(message)
      end

      it "in the application's own words for all models, one model, or one attribute" do
        words = "is in the wrong place"
        texts = [{ errors: { messages: { stored_elsewhere: words } } },
                 { activerecord: { errors: { models: { contract: { stored_elsewhere: words } } } } },
                 { errors: { attributes: { contract_pdf: { stored_elsewhere: words } } } }]
        texts.product(%i[en sv]).each do |text, locale|
          I18n.backend.store_translations(locale, text)
          expect(said_in(locale)).to eq(words)
          I18n.reload!
        end
      ensure
        I18n.reload!
      end
    end
  end

  it "adds no language to the application" do
    expect(I18n.available_locales).not_to include(:de)
  end

  it "is accepted on the required service" do
    contract = described_class.create!(contract_pdf: uploaded_to(:encrypted, "our terms").signed_id,
                                       appendices: [uploaded_to(:encrypted).signed_id])
    expect(described_class.find(contract.id).contract_pdf.download).to eq("our terms")
  end

  it "is accepted if the record has it already and its form is sent again" do
    old = described_class.new(appendices: [uploaded_to(:local)])
    old.save!(validate: false)
    again = described_class.find(old.id)
    again.update!(appendices: again.appendices.map(&:signed_id) + [file("more")])
    expect(again.reload.appendices.map { |appendix| appendix.blob.service_name }).to eq(%w[local encrypted])
  end

  it "is not checked when it is removed" do
    old = described_class.new(contract_pdf: uploaded_to(:local), appendices: [uploaded_to(:local)])
    old.save!(validate: false)
    old.update!(contract_pdf: nil, appendices: [])
    expect(described_class.find(old.id).contract_pdf).not_to be_attached
  end

  it "is checked without the attribute's reader, which the application may have replaced" do
    strict = Class.new(described_class) do
      def self.name = "Strict"
      def contract_pdf = super.attached? ? super : raise("no contract")
      def note(size) = super().variant(size)
    end
    expect(strict.create!(flyer: file)).to be_persisted
    expect(strict.new(contract_pdf: uploaded_to(:local))).not_to be_valid
  end

  it "is reported once in a class that declares the attachment again" do
    heir = Class.new(described_class) do
      def self.name = "Heir"
      has_one_attached :contract_pdf, service: :encrypted
    end
    record = heir.new(contract_pdf: uploaded_to(:local))
    record.valid?
    expect(record.errors.count).to eq(1)
  end
end
