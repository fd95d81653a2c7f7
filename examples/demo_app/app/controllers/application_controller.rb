# frozen_string_literal: true

# What all controllers have in common.
class ApplicationController < ActionController::Base
end
