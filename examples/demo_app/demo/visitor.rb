# frozen_string_literal: true

require "json"
require "net/http"

module Demo
  # An HTTP client that behaves like a browser: it follows redirects and stores the session's cookie.
  class Visitor
    # Limit of redirects in a row.
    REDIRECTS = 3
    private_constant :REDIRECTS

    # @param url [String] of the application
    def initialize(url)
      @url = url
      @cookies = {}
    end

    # @param path [String] or a URL
    # @param headers [Hash{String => String}]
    # @yieldparam response [Net::HTTPResponse] the last one, whose body can be read piece by piece
    # @return [Net::HTTPResponse] with its body, unless the block has read it
    # @raise [Workplace::Error] after too many redirects
    def get(path, headers = {}, &block)
      REDIRECTS.times do
        response = request(Net::HTTP::Get, path, headers) do |answer|
          block&.call(answer) unless answer.is_a?(Net::HTTPRedirection)
        end
        path = response["location"]
        return response unless response.is_a?(Net::HTTPFound)
      end
      raise Workplace::Error, "the application redirects more than #{REDIRECTS} times"
    end

    # @param path [String] that redirects
    # @return [String] the target
    def address(path) = request(Net::HTTP::Get, path, {})["location"]

    # @param path [String] or a URL
    # @param data [String]
    # @param headers [Hash{String => String}]
    # @return [Net::HTTPResponse]
    def put(path, data, headers) = request(Net::HTTP::Put, path, headers, data)

    # Sends a form of the application's page.
    # @param path [String]
    # @param fields [Hash{String => String}]
    # @return [Net::HTTPResponse]
    def submit(path, fields)
      data = URI.encode_www_form(fields.merge("authenticity_token" => csrf_token))
      request(Net::HTTP::Post, path, { "content-type" => "application/x-www-form-urlencoded" }, data)
    end

    # Sends files by a form of the application's page.
    # @param path [String]
    # @param field [String]
    # @param files [Array<Array(String, String)>] names and contents of text files
    # @return [Net::HTTPResponse]
    def send_files(path, field, files)
      parts = files.map { |name, data| [field, data, { filename: name, content_type: "text/plain" }] }
      request(Net::HTTP::Post, path, {}, [["authenticity_token", csrf_token], *parts])
    end

    # Selects the customer of the session.
    # @param organisation [Organisation]
    # @return [self]
    def become(organisation)
      submit("/organisation", "_method" => "patch", "id" => organisation.id.to_s)
      self
    end

    # Sends JSON, as a script of the application's page does.
    # @param path [String]
    # @param value [Object]
    # @return [Net::HTTPResponse]
    def post_json(path, value)
      headers = { "content-type" => "application/json", "accept" => "application/json", "x-csrf-token" => csrf_token }
      request(Net::HTTP::Post, path, headers, JSON.generate(value))
    end

    private

    def csrf_token
      @csrf_token ||= get("/").body[/<meta name="csrf-token" content="([^"]+)"/, 1]
    end

    def request(kind, path, headers, data = nil, &)
      uri = URI.join(@url, path)
      # Otherwise an answer that is cut off would end only after the timeout.
      message = kind.new(uri, { "connection" => "close", "cookie" => cookie, **headers }.compact)
      data.is_a?(Array) ? message.set_form(data, "multipart/form-data") : message.body = data
      response = Net::HTTP.start(uri.host, uri.port, nil) { |http| http.request(message, &) }
      remember(response)
      response
    end

    def cookie
      @cookies.map { |name, value| "#{name}=#{value}" }.join("; ") if @cookies.any?
    end

    def remember(response)
      response.get_fields("set-cookie").to_a.each do |line|
        name, value = line.split(";").first.split("=", 2)
        @cookies[name] = value
      end
    end
  end
end
