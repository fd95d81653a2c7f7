# frozen_string_literal: true

Rails.application.routes.draw do
  root to: ->(_environment) { [200, { "content-type" => "text/plain" }, ["dummy"]] }
end
