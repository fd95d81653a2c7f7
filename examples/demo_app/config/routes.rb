# frozen_string_literal: true

Rails.application.routes.draw do
  resources :documents, only: %i[index create destroy]
  root to: "documents#index"
end
