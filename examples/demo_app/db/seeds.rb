# frozen_string_literal: true

# The two customers. A new session uses the first one.
Organisation.find_or_create_by!(name: "Berg & Söhne", encrypted: true)
Organisation.find_or_create_by!(name: "Plain Pages", encrypted: false)
