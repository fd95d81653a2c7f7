# frozen_string_literal: true

# Renders pages outside of a request.
class ApplicationController < ActionController::Base
end
