# frozen_string_literal: true

# Receives a form.
class DocumentsController < ActionController::Base
  def new; end

  def create
    document = Document.create!(file: params.require(:file))
    render json: { key: document.file.blob.key, path: rails_storage_proxy_path(document.file) }
  end
end
