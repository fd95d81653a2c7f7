//! Detection of web pages in place of a store's answers.
//!
//! A proxy or a firewall that asks for a login, and the page of a web server that was taken for a store, may come with
//! the status 200. Of some answers the SDK reads only the headers: a file would count as stored, or as deleted.

use std::fmt;

use aws_smithy_runtime_api::client::orchestrator::HttpResponse;

/// Operations whose answers are not XML. Some stores for tests send XML as HTML.
const OPERATIONS: [&str; 6] =
    ["GetObject", "HeadObject", "PutObject", "UploadPart", "DeleteObject", "AbortMultipartUpload"];

/// The tag in the body of every store's error.
const CODE: &[u8] = b"<Code>";

/// Whether the answers of an operation must be checked.
pub(super) fn may_be_missed(operation: &str) -> bool {
    OPERATIONS.contains(&operation)
}

/// The error for a web page.
#[derive(Debug)]
pub(super) struct WebPage;

impl fmt::Display for WebPage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a web page arrived instead of the store's answer")
    }
}

impl std::error::Error for WebPage {}

/// The settings to check, as a sentence without its end.
pub(super) const ADVICE: &str = "Check `endpoint`, and proxies and firewalls between this machine and the store";

/// Checks an answer.
///
/// # Errors
/// [`WebPage`] for a page with a status of success.
pub(super) fn check(answer: &HttpResponse) -> Result<(), WebPage> {
    if answer.status().is_success() && is_page(answer) { Err(WebPage) } else { Ok(()) }
}

/// Whether an answer says that a page does not exist, which does not mean that an object does not exist. The errors of
/// some stores for tests are XML that is sent as HTML.
pub(super) fn is_missing_page(answer: &HttpResponse) -> bool {
    let body = answer.body().bytes().unwrap_or_default();
    may_be_missing_page(answer) && !body.is_empty() && !body.windows(CODE.len()).any(|window| window == CODE)
}

/// The same by the head of an answer alone.
pub(super) fn may_be_missing_page(answer: &HttpResponse) -> bool {
    answer.status().as_u16() == 404 && is_page(answer)
}

/// Whether an answer is HTML without any sign of a store. A store may hold web pages as objects, and sends an entity tag
/// with them.
fn is_page(answer: &HttpResponse) -> bool {
    let header = |name| answer.headers().get(name);
    let is_html =
        || header("content-type").is_some_and(|kind| kind.trim().to_ascii_lowercase().starts_with("text/html"));
    // Some frameworks name this type in answers without a body.
    let is_empty = answer.status().as_u16() == 204 || header("content-length") == Some("0");
    let is_of_store = || ["etag", "x-amz-request-id", "x-amz-id-2"].into_iter().any(|name| header(name).is_some());
    !is_empty && is_html() && !is_of_store()
}
