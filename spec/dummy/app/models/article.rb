# frozen_string_literal: true

# A text with pictures in it.
class Article < ActiveRecord::Base
  self.table_name = "documents"

  has_rich_text :body
end
