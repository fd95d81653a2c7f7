# frozen_string_literal: true

require "ipaddr"
require "socket"
require "uri"
require_relative "service_entries"

module EncryptedS3Service
  # Checks that a store's endpoint is a public address and does not lead to this machine, a private network or the
  # metadata service of a cloud, which hands out credentials (server-side request forgery).
  #
  # Endpoints in `storage.yml` and in `config.encrypted_s3_service.trusted_resolver_endpoints` are always allowed.
  #
  # A name is resolved when the service is built. The owner of the name can change its address later, so an application
  # that lets tenants choose endpoints should also restrict outgoing connections to public addresses.
  # @api private
  class PublicEndpoint
    # Addresses that are not public: the special-purpose registries of IANA (RFC 6890) and the metadata services of
    # clouds: 169.254.169.254 and fd00:ec2::254 (within the blocks below), 100.100.100.200 of Alibaba (within
    # 100.64.0.0/10), 168.63.129.16 of Azure, 192.0.0.192 of Oracle (within 192.0.0.0/24).
    BLOCKS = %w[
      0.0.0.0/8 10.0.0.0/8 100.64.0.0/10 127.0.0.0/8 168.63.129.16/32 169.254.0.0/16 172.16.0.0/12 192.0.0.0/24
      192.0.2.0/24 192.88.99.0/24 192.168.0.0/16 198.18.0.0/15 198.51.100.0/24 203.0.113.0/24 224.0.0.0/4 240.0.0.0/4
      ::/96 64:ff9b:1::/48 100::/64 2001:db8::/32 fc00::/7 fe80::/10 fec0::/10 ff00::/8
    ].map { |block| IPAddr.new(block) }.freeze
    # Names of this machine (RFC 6761) and of metadata services, in any network.
    NAMES = /\A(.+\.)?(localhost|metadata\.google\.internal|metadata|instance-data)\z/i
    # A host name in plain ASCII, without escapes and characters that parsers normalize or treat as an end.
    NAME = /\A(?=.{1,253}\z)[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?)*\.?\z/i
    # A number at the end, which only an IPv4 address has.
    NUMBER_AT_END = /(\A|\.)(0x\h*|\d+)\.?\z/i
    # The notations of `inet_aton`: decimal, octal and hexadecimal numbers.
    NUMBERS = /\A(0x\h*|\d+)(\.(0x\h*|\d+)){0,3}\.?\z/i

    # An entry of the setting.
    LISTED = %r{\A(?:(?<scheme>https?)://)?(?<host>\[[^\]/]+\]|[^:/]+)(?::(?<port>\d+))?(?:/|\z)}i
    private_constant :BLOCKS, :NAMES, :NAME, :NUMBER_AT_END, :NUMBERS, :LISTED

    # @param endpoint [String] a URL
    # @param bucket [String, nil] the bucket, if it becomes part of the host name
    def initialize(endpoint, bucket: nil)
      @endpoint = endpoint
      @bucket = bucket
    end

    # @return [String, nil] the problem, without quoting the endpoint; nil when the endpoint is allowed
    def problem
      uri = parsed
      return "is not a URL with a host" unless uri
      return if trusted?(uri)

      hosts = [uri.hostname, *("#{@bucket}.#{uri.hostname}" if @bucket.present? && !numeric?(uri.hostname))]
      hosts.filter_map { |host| problem_of(host) }.first
    end

    private

    # Accepts only URLs that all parsers understand in the same way.
    def parsed
      return unless @endpoint.match?(%r{\Ahttps?://[\w.:\[\]-]+(/[\w./~-]*)?\z}i)

      uri = URI.parse(@endpoint)
      host = uri.hostname.to_s
      uri if numeric?(host) || (NAME.match?(host) && !host.match?(NUMBER_AT_END))
    rescue URI::InvalidURIError
      nil
    end

    def numeric?(host) = NUMBERS.match?(host) || host.include?(":")

    def problem_of(host)
      host = host.delete_suffix(".")
      addresses = addresses_of(host)
      return "is not a URL with a host" if addresses.empty? && numeric?(host)
      return unless NAMES.match?(host) || addresses.any? { |address| inside?(address) }

      "leads to this machine, a private network or a metadata service"
    end

    # @return [Array<IPAddr>] empty when the name cannot be resolved here, for example because a proxy does it
    def addresses_of(host)
      Addrinfo.getaddrinfo(host, nil, nil, :STREAM).map { |found| IPAddr.new(found.ip_address[/\A[^%]+/]) }
    rescue SocketError, IPAddr::Error
      []
    end

    def inside?(address)
      BLOCKS.any? { |block| block.include?(address) } || embedded(address).any? { |inner| inside?(inner) }
    end

    # IPv4 addresses in IPv6 addresses: mapped (::ffff:0:0/96), translated (64:ff9b::/96), 6to4 (2002::/16) and Teredo
    # (2001::/32, inverted).
    def embedded(address)
      return [] unless address.ipv6?

      bits = address.to_i
      case bits >> 96
      when 0x20010000 then [ipv4(~bits), ipv4(bits >> 32)]
      when 0 then bits >> 32 == 0xffff ? [ipv4(bits)] : []
      when 0x0064ff9b then [ipv4(bits)]
      else bits >> 112 == 0x2002 ? [ipv4(bits >> 80)] : []
      end
    end

    def ipv4(bits) = IPAddr.new(bits & 0xffffffff, Socket::AF_INET)

    def trusted?(uri)
      entries = ServiceEntries.new
      own = entries.names.filter_map { |name| entries[name][:endpoint] if entries[name].is_a?(Hash) }
      [*own, *Array(EncryptedS3Service.settings.trusted_resolver_endpoints)].any? { |listed| same?(uri, listed.to_s) }
    end

    # `minio.internal` allows every scheme and port of the host, `minio.internal:9000` every scheme.
    def same?(uri, listed)
      found = LISTED.match(listed) or return false

      port = found[:port] || { "http" => 80, "https" => 443 }[found[:scheme]&.downcase]
      found[:host].casecmp?(uri.host) && (found[:scheme] || uri.scheme).casecmp?(uri.scheme) &&
        (port || uri.port).to_i == uri.port
    end
  end
end
