# frozen_string_literal: true

# What renders pages outside of a request.
class ApplicationController < ActionController::Base
end
