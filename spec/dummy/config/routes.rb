# frozen_string_literal: true

Rails.application.routes.draw do
  resources :documents, only: %i[new create]
  get "/activestorage.js", to: ActiveStorageJavascript
  resources :tenant_documents, only: %i[new create]
  resource :tenant_stream, only: :show
  resource :tenant_late, only: :create, controller: "tenant_late"
  root to: ->(_environment) { [200, { "content-type" => "text/plain" }, ["dummy"]] }
end
