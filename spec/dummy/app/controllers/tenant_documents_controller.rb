# frozen_string_literal: true

# Stores files for the customer of the request.
class TenantDocumentsController < TenantController
  # A form for direct uploads.
  def new
    render inline: <<~ERB, locals: { record: Contract.new }
      <%= form_with(model: record, url: "/tenant_documents") do |form| %>
        <%= form.file_field :contract_pdf, direct_upload: true %>
        <%= form.file_field :note, direct_upload: true %>
      <% end %>
    ERB
  end

  def create
    document = Document.create!(file: params.require(:file))
    raise "after the file" if params[:fail]

    render json: { key: document.file.blob.key, service: document.file.blob.service_name,
                   tenant: Current.organisation&.name }
  end
end
