# frozen_string_literal: true

# An application's controller that lets nobody in without a login.
class GuardedController < ActionController::Base
  before_action { head :unauthorized unless request.headers["X-Login"] == "yes" }
end
