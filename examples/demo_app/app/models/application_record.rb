# frozen_string_literal: true

# Superclass of all models.
class ApplicationRecord < ActiveRecord::Base
  primary_abstract_class
end
