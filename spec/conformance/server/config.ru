# frozen_string_literal: true

# Runs the server alone, such as for Amazon's own suite, with the store in the environment:
#   S3_ENDPOINT=… S3_ACCESS_KEY_ID=… S3_SECRET_ACCESS_KEY=… S3_REGION=… puma -b tcp://127.0.0.1:8101 config.ru
# KMS_ENDPOINT selects another KMS than Amazon's.
require_relative "application"

run ConformanceServer::Application.new(
  endpoint: ENV.fetch("S3_ENDPOINT"), region: ENV.fetch("S3_REGION"), force_path_style: true,
  access_key_id: ENV.fetch("S3_ACCESS_KEY_ID"), secret_access_key: ENV.fetch("S3_SECRET_ACCESS_KEY"),
  kms_endpoint: ENV.fetch("KMS_ENDPOINT", nil)
)
