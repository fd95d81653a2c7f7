# frozen_string_literal: true

# The one page there is.
class DocumentsController < ApplicationController
  # Files on the page.
  LIMIT = 50

  # Lists the files.
  # @return [void]
  def index
    @document = Document.new
    list
  end

  # Stores a file.
  # @return [void]
  def create
    @document = Document.new(file: chosen_file)
    return redirect_to(documents_path, notice: "#{@document.file.filename} is encrypted and stored.") if @document.save

    show_problem
  rescue EncryptedS3Service::Error => e
    # Active Storage uploads after the record is saved.
    @document.destroy
    @document.errors.add(:base, "The file could not be stored: #{e.message}")
    show_problem
  end

  # Deletes a file.
  # @return [void]
  def destroy
    document = Document.find(params[:id])
    document.file.purge
    document.destroy!
    redirect_to documents_path, notice: "The file is deleted, here and in the bucket."
  end

  private

  # Anything else that may be sent under this name is not what the form sends.
  def chosen_file
    file = params[:file]
    file if file.is_a?(ActionDispatch::Http::UploadedFile)
  end

  def show_problem
    list
    render :index, status: :unprocessable_entity
  end

  def list
    @documents = Document.with_attached_file.newest_first.limit(LIMIT).select { |document| document.file.attached? }
    @stored = @documents.to_h { |document| [document, StoredObject.of(document.file.blob)] }
  end
end
