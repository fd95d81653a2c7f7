# frozen_string_literal: true

require "ipaddr"
require "socket"
require "uri"
require_relative "service_entries"

module EncryptedS3Service
  # Looks whether the address of a store leads out of the application's own network: not to this machine, to private
  # networks, or to the metadata service of a cloud, which hands out credentials (server-side request forgery).
  #
  # Allowed are, whatever they lead to, the endpoints of `storage.yml`, and those that
  # `config.encrypted_s3_service.trusted_resolver_endpoints` lists.
  #
  # A name is looked up when the service is built. Whoever owns the name may change where it leads later on; an
  # application that lets tenants choose endpoints should let nothing but public addresses out of its network as well.
  # @api private
  class PublicEndpoint
    # Addresses that are not on the internet: the special-purpose registries of IANA (RFC 6890), and what the metadata
    # services of clouds answer at: 169.254.169.254 and fd00:ec2::254 (within the blocks below), 100.100.100.200 of
    # Alibaba (within 100.64.0.0/10), 168.63.129.16 of Azure, 192.0.0.192 of Oracle (within 192.0.0.0/24).
    BLOCKS = %w[
      0.0.0.0/8 10.0.0.0/8 100.64.0.0/10 127.0.0.0/8 168.63.129.16/32 169.254.0.0/16 172.16.0.0/12 192.0.0.0/24
      192.0.2.0/24 192.88.99.0/24 192.168.0.0/16 198.18.0.0/15 198.51.100.0/24 203.0.113.0/24 224.0.0.0/4 240.0.0.0/4
      ::/96 64:ff9b:1::/48 100::/64 2001:db8::/32 fc00::/7 fe80::/10 fec0::/10 ff00::/8
    ].map { |block| IPAddr.new(block) }.freeze
    # Names that lead to this machine (RFC 6761) or to a metadata service wherever they are looked up.
    NAMES = /\A(.+\.)?(localhost|metadata\.google\.internal|metadata|instance-data)\z/i
    # A host's name in an address: no escapes, no letters that become others, no marks of an end.
    NAME = /\A(?=.{1,253}\z)[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?)*\.?\z/i
    # What only a mistaken address of IPv4 ends in.
    NUMBER_AT_END = /(\A|\.)(0x\h*|\d+)\.?\z/i
    # What `inet_aton` reads as an address: decimal, octal and hexadecimal numbers.
    NUMBERS = /\A(0x\h*|\d+)(\.(0x\h*|\d+)){0,3}\.?\z/i

    # A listed endpoint.
    LISTED = %r{\A(?:(?<scheme>https?)://)?(?<host>\[[^\]/]+\]|[^:/]+)(?::(?<port>\d+))?(?:/|\z)}i
    private_constant :BLOCKS, :NAMES, :NAME, :NUMBER_AT_END, :NUMBERS, :LISTED

    # @param endpoint [String] a URL
    # @param bucket [String, nil] when it is put before the host's name
    def initialize(endpoint, bucket: nil)
      @endpoint = endpoint
      @bucket = bucket
    end

    # @return [String, nil] what is wrong with it; it does not quote the endpoint
    def problem
      uri = parsed
      return "is no URL of a host" unless uri
      return if trusted?(uri)

      hosts = [uri.hostname, *("#{@bucket}.#{uri.hostname}" if @bucket.present? && !numeric?(uri.hostname))]
      hosts.filter_map { |host| problem_of(host) }.first
    end

    private

    # Only what no two readers of addresses understand differently.
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
      return "is no URL of a host" if addresses.empty? && numeric?(host)
      return unless NAMES.match?(host) || addresses.any? { |address| inside?(address) }

      "leads to this machine, a private network or a metadata service"
    end

    # @return [Array<IPAddr>] empty when the name cannot be looked up here, as where a proxy does that
    def addresses_of(host)
      Addrinfo.getaddrinfo(host, nil, nil, :STREAM).map { |found| IPAddr.new(found.ip_address[/\A[^%]+/]) }
    rescue SocketError, IPAddr::Error
      []
    end

    def inside?(address)
      BLOCKS.any? { |block| block.include?(address) } || embedded(address).any? { |inner| inside?(inner) }
    end

    # Addresses of IPv4 in those of IPv6: mapped (::ffff:0:0/96), translated (64:ff9b::/96), 6to4 (2002::/16) and Teredo
    # (2001::/32, where it is inverted).
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

    # `minio.internal` stands for every scheme and port of the host, `minio.internal:9000` for every scheme.
    def same?(uri, listed)
      found = LISTED.match(listed) or return false

      port = found[:port] || { "http" => 80, "https" => 443 }[found[:scheme]&.downcase]
      found[:host].casecmp?(uri.host) && (found[:scheme] || uri.scheme).casecmp?(uri.scheme) &&
        (port || uri.port).to_i == uri.port
    end
  end
end
