# frozen_string_literal: true

# A controller that requires a login.
class GuardedController < ActionController::Base
  before_action { head :unauthorized unless request.headers["X-Login"] == "yes" }
end
