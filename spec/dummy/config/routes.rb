# frozen_string_literal: true

Rails.application.routes.draw do
  resources :documents, only: %i[new create]
  get "/activestorage.js", to: ActiveStorageJavascript
  root to: ->(_environment) { [200, { "content-type" => "text/plain" }, ["dummy"]] }
end
