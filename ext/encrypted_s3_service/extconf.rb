# frozen_string_literal: true

require "mkmf"
require "rb_sys/mkmf"

create_rust_makefile("encrypted_s3_service/encrypted_s3_service")
