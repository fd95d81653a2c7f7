# frozen_string_literal: true

# The only page: lists, stores and deletes files.
class DocumentsController < ApplicationController
  # Maximum number of files on the page.
  LIMIT = 50

  # Lists the files of the customer.
  # @return [void]
  def index
    @document = Document.new
    list
  end

  # Stores the files of a form, or attaches those that the browser has already uploaded.
  # @return [void]
  def create
    documents = (chosen_files.presence || [nil]).map { |file| store(file) }
    @document = documents.find { |document| document.errors.any? }
    return redirect_to(documents_path, notice: notice_of(documents)) unless @document

    list
    render :index, status: :unprocessable_entity
  end

  # Deletes a file, with its thumbnail and preview.
  # @return [void]
  def destroy
    document = Current.organisation.documents.find(params[:id])
    document.file.purge
    document.destroy!
    redirect_to documents_path, notice: "The file is deleted, here and in the bucket."
  end

  private

  # Ignores any other value, which the form does not send.
  def chosen_files
    Array(params[:files]).filter_map do |file|
      case file
      when ActionDispatch::Http::UploadedFile then file
      when String then ActiveStorage::Blob.find_signed(file)
      end
    end
  end

  def store(file)
    document = Current.organisation.documents.new(file: file)
    document.save
    document
  rescue *Document::FAILURES => e
    # Active Storage uploads after the record is saved.
    document.destroy
    document.errors.add(:base, "The file could not be stored: #{e.message}")
    document
  end

  def notice_of(documents)
    done = Current.organisation.encrypted? ? "encrypted and stored" : "stored, not encrypted"
    return "#{documents.size} files are #{done}." if documents.many?

    "#{documents.first.file.filename} is #{done}."
  end

  def list
    newest = Current.organisation.documents.with_attached_file.newest_first.limit(LIMIT)
    @documents = newest.select { |document| document.file.attached? }
    @stored = @documents.to_h { |document| [document, StoredObject.of(document.file.blob)] }
  end
end
