# frozen_string_literal: true

module Faults
  # One S3 call of an operation.
  # @!attribute name [String] S3's name
  # @!attribute object [String] key of the object below the folder of the trial; empty if the call has none
  # @!attribute ordinal [Integer] 1 for the first call of this name for this object
  # @!attribute sent [Integer] bytes of the request's body
  # @!attribute received [Integer] bytes of the answer's body
  # @!attribute tagged [Boolean] whether the answer has an entity tag
  Call = Struct.new(:name, :object, :ordinal, :sent, :received, :tagged) do
    # @param request [FaultProxy::Request]
    # @param ordinal [Integer]
    # @return [Call] without the data of the answer
    def self.of(request, ordinal) = new(name_of(request), object_of(request), ordinal, 0, 0, false)

    # @param request [FaultProxy::Request]
    # @return [String]
    def self.name_of(request)
      case [request.verb, request.target, request.headers.key?("x-amz-copy-source")]
      in ["PUT", /[?&]partNumber=/, true] then "UploadPartCopy"
      in ["PUT", _, true] then "CopyObject"
      in ["POST", /[?&]delete\b/, _] then "DeleteObjects"
      in ["GET", /[?&]list-type=/, _] then "ListObjectsV2"
      in ["GET", /[?&]tagging\b/, _] then "GetObjectTagging"
      else request.operation
      end
    end

    # @param request [FaultProxy::Request]
    # @return [String] the part of the path after bucket and folder
    def self.object_of(request) = request.target[%r{\A/[^/?]+/[^/?]+/([^?]*)}, 1].to_s

    # @return [Boolean] whether the other has the same name and object, with any ordinal
    def like?(other) = name == other.name && object == other.object

    def to_s = "#{name}#{" of #{object}" unless object.empty?} (#{ordinal})"
  end
end
