//! Finds the reason why a store was not reached in the chain of errors of the SDK, the HTTP client and TLS.
//!
//! The texts of those libraries may contain addresses and more. Only texts that are known to be harmless are repeated.

use std::error::Error as StdError;
use std::io;

use aws_smithy_types::DateTime;
use aws_smithy_types::date_time::Format;
use rustls::{CertificateError, Error as TlsError};

use super::patience::Stalled;
use super::repeated_answer::RepeatedAnswer;
use super::web_page::{self, WebPage};
use crate::ErrorKind;
use crate::error::NetworkCause;

/// A cause, its kind of error, and the remedy.
pub(crate) struct Finding {
    pub(crate) kind: ErrorKind,
    pub(crate) cause: NetworkCause,
    /// The settings to check, as a sentence without its end.
    pub(crate) advice: &'static str,
}

impl Finding {
    fn new(reason: &'static str, text: impl Into<String>, advice: &'static str) -> Self {
        let kind = if reason == "certificate" { ErrorKind::Certificate } else { ErrorKind::Transport };
        Self { kind, cause: NetworkCause { reason, text: text.into() }, advice }
    }
}

/// The first known cause in the chain of `error`.
pub(crate) fn find(error: &(dyn StdError + 'static)) -> Option<Finding> {
    chain(error).find_map(recognise)
}

/// `error` and its causes. An `io::Error` that wraps another error omits it from its `source`.
pub(super) fn chain<'a>(error: &'a (dyn StdError + 'static)) -> impl Iterator<Item = &'a (dyn StdError + 'static)> {
    std::iter::successors(Some(error), |&error| match error.downcast_ref::<io::Error>() {
        Some(io) => io.get_ref().map(|inner| inner as &(dyn StdError + 'static)),
        None => error.source(),
    })
}

fn recognise(error: &(dyn StdError + 'static)) -> Option<Finding> {
    if let Some(error) = error.downcast_ref::<TlsError>() {
        return Some(tls(error));
    }
    if let Some(error) = error.downcast_ref::<io::Error>() {
        return connection(error);
    }
    if let Some(stalled) = error.downcast_ref::<Stalled>() {
        return Some(Finding::new("timeout", stalled.to_string(), "`http_read_timeout` is the limit"));
    }
    if let Some(repeated) = error.downcast_ref::<RepeatedAnswer>() {
        return Some(Finding::new("reset", repeated.to_string(), "Check proxies between this machine and the store"));
    }
    if let Some(page) = error.downcast_ref::<WebPage>() {
        return Some(Finding::new("proxy", page.to_string(), web_page::ADVICE));
    }
    // These types are private to the libraries; their texts are constants.
    let text = error.to_string();
    if text.starts_with("dns error") {
        let cause = "the store's host name cannot be resolved";
        let advice = "Check `endpoint`, `region` and the name resolution of this machine";
        return Some(Finding::new("dns", cause, advice));
    }
    if text.starts_with("HTTP connect timeout") {
        let advice = "Check `endpoint`, firewalls and proxies; `http_open_timeout` is the limit";
        return Some(Finding::new("timeout", "the connection was not established in time", advice));
    }
    if text.starts_with("HTTP read timeout") {
        return Some(Finding::new("timeout", "the store did not answer in time", "`http_read_timeout` is the limit"));
    }
    if let Some(reason) = text.strip_prefix("tunnel error: ") {
        return proxy(reason);
    }
    text.contains("connection closed before message completed").then(closed)
}

fn closed() -> Finding {
    Finding::new("reset", "the connection was closed before the answer", RESET)
}

const RESET: &str = "The store, a proxy or a firewall closes connections";
const PROXY: &str = "Check `http_proxy`, or HTTPS_PROXY, HTTP_PROXY and NO_PROXY in the environment";

fn proxy(reason: &str) -> Option<Finding> {
    let cause = match reason {
        "proxy authorization required" => "the proxy requires a user name and a password, or rejects them (407)",
        "unsuccessful" => "the proxy refuses the connection to the store",
        "unexpected end of file" | "proxy response headers too long" => {
            "the proxy's answer is not that of an HTTP proxy"
        }
        // The next cause is why the proxy was not reached.
        _ => return None,
    };
    Some(Finding::new("proxy", cause, PROXY))
}

fn connection(error: &io::Error) -> Option<Finding> {
    if error.to_string().starts_with("failed to lookup address information") {
        let cause = "the store's host name cannot be resolved";
        return Some(Finding::new("dns", cause, "Check `endpoint`, `region` and the name resolution of this machine"));
    }
    let refused = "Check the host and port of `endpoint` and of proxies, and that the store runs";
    let unreachable = "Check `endpoint`, routes and firewalls";
    Some(match error.kind() {
        io::ErrorKind::ConnectionRefused => Finding::new("refused", "connection refused", refused),
        io::ErrorKind::ConnectionReset => Finding::new("reset", "connection reset", RESET),
        io::ErrorKind::ConnectionAborted | io::ErrorKind::BrokenPipe | io::ErrorKind::NotConnected => closed(),
        io::ErrorKind::UnexpectedEof => closed(),
        io::ErrorKind::TimedOut => Finding::new("timeout", "the connection was not established in time", unreachable),
        io::ErrorKind::HostUnreachable => Finding::new("unreachable", "no route to the host", unreachable),
        io::ErrorKind::NetworkUnreachable => Finding::new("unreachable", "the network is unreachable", unreachable),
        io::ErrorKind::PermissionDenied => {
            Finding::new("unreachable", "the system forbids the connection", unreachable)
        }
        io::ErrorKind::AddrNotAvailable => Finding::new(
            "unreachable",
            "the system has no free address or port",
            "Check the number of open connections",
        ),
        _ if error.raw_os_error() == Some(EMFILE) => {
            Finding::new("unreachable", "this process has too many open files", "Raise its limit (ulimit -n)")
        }
        _ => return None,
    })
}

const EMFILE: i32 = 24;

fn tls(error: &TlsError) -> Finding {
    match error {
        TlsError::InvalidCertificate(error) => certificate(error),
        TlsError::NoCertificatesPresented => {
            Finding::new("certificate", "the store has no certificate", "Check `endpoint`")
        }
        TlsError::InvalidMessage(_) => {
            let advice = "Check the port of `endpoint`, and whether it is http:// instead of https://";
            Finding::new("tls", "the store does not speak TLS on this port", advice)
        }
        // Alerts are numbers with names.
        TlsError::AlertReceived(alert) => {
            let advice = "Client certificates and TLS below 1.2 are not supported";
            Finding::new("tls", format!("the store refuses the TLS connection ({alert:?})"), advice)
        }
        TlsError::PeerIncompatible(_) => Finding::new(
            "tls",
            "the store and this client have no TLS version or cipher in common",
            "TLS 1.2 is needed",
        ),
        _ => Finding::new("tls", "TLS failed", "Check `endpoint` and proxies"),
    }
}

const BUNDLE: &str = "Set `ssl_ca_bundle` to the certificate of the authority that issued it";
const RENEW: &str = "Renew the certificate, or check this machine's clock";
const ISSUE: &str = "Issue a certificate with this name in subjectAltName, or use the right name in `endpoint`";
const OWN_AUTHORITY: &str = "Create a certificate of the store with CA:FALSE (openssl req -x509 -addext \
                             basicConstraints=critical,CA:FALSE -addext subjectAltName=DNS:name) and set \
                             `ssl_ca_bundle` to it";

fn certificate(error: &CertificateError) -> Finding {
    let day = |time: u64| match i64::try_from(time).map(|time| DateTime::from_secs(time).fmt(Format::DateTime)) {
        Ok(Ok(text)) => text,
        _ => "another time".to_owned(),
    };
    let (problem, advice) = match error {
        CertificateError::Expired => ("it has expired".to_owned(), RENEW),
        CertificateError::ExpiredContext { not_after, .. } => {
            (format!("it expired on {}", day(not_after.as_secs())), RENEW)
        }
        CertificateError::NotValidYet => ("it is not valid yet".to_owned(), RENEW),
        CertificateError::NotValidYetContext { not_before, .. } => {
            (format!("it is not valid before {}", day(not_before.as_secs())), RENEW)
        }
        CertificateError::UnknownIssuer => ("its issuer is not trusted".to_owned(), BUNDLE),
        CertificateError::BadSignature => {
            ("an authority with its issuer's name is trusted, but did not sign it".to_owned(), BUNDLE)
        }
        CertificateError::NotValidForName => ("it is for another host name".to_owned(), ISSUE),
        CertificateError::NotValidForNameContext { expected, presented } => {
            (names(expected.to_str().as_ref(), presented), ISSUE)
        }
        CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => {
            ("it is not for servers (extendedKeyUsage)".to_owned(), ISSUE)
        }
        CertificateError::Revoked => ("it was revoked".to_owned(), "Renew the certificate"),
        CertificateError::Other(error) => match error.to_string().as_str() {
            // The library's own names of its errors, which have no type here.
            "CaUsedAsEndEntity" => {
                ("it is the certificate of an authority (CA:TRUE), not of a server".to_owned(), OWN_AUTHORITY)
            }
            "UnsupportedCertVersion" => ("it has no extensions (X.509 version 1)".to_owned(), OWN_AUTHORITY),
            _ => ("it is not well-formed".to_owned(), OWN_AUTHORITY),
        },
        _ => ("it is not well-formed".to_owned(), OWN_AUTHORITY),
    };
    Finding::new("certificate", format!("the store's certificate is not accepted: {problem}"), advice)
}

fn names(expected: &str, presented: &[String]) -> String {
    if presented.is_empty() {
        return format!("it has no subjectAltName for {expected:?} (the name in CN does not count)");
    }
    let presented: Vec<_> = presented.iter().take(5).map(|name| name.chars().take(100).collect::<String>()).collect();
    format!("it is not for {expected:?} but for {}", presented.join(", "))
}
