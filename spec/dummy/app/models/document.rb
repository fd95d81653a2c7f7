# frozen_string_literal: true

# Something with files.
class Document < ActiveRecord::Base
  has_one_attached :file
  has_many_attached :pages
end
