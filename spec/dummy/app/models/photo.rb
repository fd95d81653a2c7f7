# frozen_string_literal: true

# A picture in several sizes, one of which is made in advance.
class Photo < ActiveRecord::Base
  self.table_name = "documents"

  # Rails 8.2 deprecates the option's former name.
  AHEAD = Rails.gem_version < Gem::Version.new("8.2.0.alpha") ? { preprocessed: true } : { process: :later }

  has_one_attached :image do |image|
    image.variant :thumb, resize_to_limit: [40, 40]
    image.variant :card, resize_to_fill: [30, 20], **AHEAD
  end
end
