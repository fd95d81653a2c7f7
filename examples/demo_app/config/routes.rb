# frozen_string_literal: true

Rails.application.routes.draw do
  resources :documents, only: %i[index create destroy]
  resource :organisation, only: :update
  get "/activestorage.js", to: ActiveStorageJavascript
  root to: "documents#index"
end
