# frozen_string_literal: true

require_relative "../active_storage_helper"

RSpec.describe "A text with a picture in it", type: :request do
  let(:picture) { Samples.jpeg(1200, 80) }
  let(:blob) { blob_of(picture, "clouds.jpg") }
  let(:article) { Article.create!(body: %(<div>Look: #{embed(blob)}</div>)) }

  def embed(blob) = %(<action-text-attachment sgid="#{blob.attachable_sgid}"></action-text-attachment>)

  # @return [Nokogiri::HTML4::DocumentFragment] the text as a page shows it
  def rendered
    html = ApplicationController.renderer.render(inline: "<%= article.body %>", locals: { article: article.reload })
    Nokogiri::HTML4.fragment(html)
  end

  it "keeps the picture encrypted in the bucket, as an embed of the text" do
    embeds = article.body.embeds
    expect(embeds.map { |embed| decrypted(embed.key) }).to match([be_bytes(picture)])
  end

  it "shows a reader the picture in the text's size through the application, and stores that encrypted too" do
    path = URI(rendered.at_css("figure img")["src"]).path
    expect(path).to start_with("/rails/active_storage/representations/proxy/").and(end_with("/clouds.jpg"))
    keys = objects_added { get path }
    expect(response).to have_http_status(:ok)
    expect(all_decrypted(keys).values.map(&:b)).to eq([response.body.b])
    expect(dimensions(response.body.b)).to eq([1024, 68])
  end

  it "shows the first page of a PDF" do
    article.update!(body: %(<div>#{embed(blob_of(Samples.pdf, "will.pdf"))}</div>))
    get URI(rendered.at_css("figure img")["src"]).path
    expect([response.status, dimensions(response.body.b)]).to eq([200, [200, 100]])
  end

  it "names a file without a preview" do
    article.update!(body: %(<div>#{embed(blob_of("text", "notes.txt"))}</div>))
    expect(rendered.at_css("figure figcaption").text.split).to eq(["notes.txt", "4", "Bytes"])
  end

  it "purges the picture when it is removed from the text, and with the text" do
    keys = [article.body.embeds.first.key, *objects_added { perform_all_jobs }]
    article.update!(body: "<div>Nothing to look at</div>")
    perform_all_jobs
    expect(server.list(bucket) & keys).to eq([])
  end
end
