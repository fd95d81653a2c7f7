//! Proxies between this process and the store: that of the settings, or those of the environment as Ruby reads them.

use aws_smithy_http_client::proxy::ProxyConfig;

use super::aws_settings::{ConnectionSettings, SecretText};
use crate::{Error, ErrorKind, Result};

/// Hosts that are always reached without a proxy, as in Ruby: this machine.
const LOOPBACK: &str = "localhost,127.0.0.0/8,::1";

/// The proxy for one kind of requests.
#[derive(Debug)]
pub(crate) struct Proxy {
    /// The name of the setting or of the variable.
    name: &'static str,
    url: SecretText,
    /// Hosts that are reached directly, separated by commas.
    except: String,
}

impl Proxy {
    /// The proxy for requests to `https` addresses, or to `http` ones.
    pub(crate) fn of(settings: &ConnectionSettings, https: bool) -> Option<Self> {
        if let Some(url) = &settings.proxy {
            return Some(Self { name: "http_proxy", url: url.clone(), except: String::new() });
        }
        let names: &[&'static str] = if https {
            &["https_proxy", "HTTPS_PROXY"]
        } else if std::env::var_os("REQUEST_METHOD").is_some() {
            // A CGI program gets the client's Proxy header as HTTP_PROXY (CVE-2016-5385).
            &["http_proxy"]
        } else {
            &["http_proxy", "HTTP_PROXY"]
        };
        let (name, url) = names.iter().find_map(|name| Some((*name, variable(name)?)))?;
        let except = variable("no_proxy").or_else(|| variable("NO_PROXY")).unwrap_or_default();
        Some(Self { name, url: SecretText::new(url), except: exceptions(&except) })
    }

    /// Converts the proxy for the HTTP client.
    ///
    /// # Errors
    /// `Configuration`, naming the setting or the variable, when it is not the URL of a proxy.
    pub(crate) fn config(&self, https: bool) -> Result<ProxyConfig> {
        let url = self.url.expose().trim();
        let url = if url.contains("://") { url.to_owned() } else { format!("http://{url}") };
        let config = if https { ProxyConfig::https(url) } else { ProxyConfig::http(url) };
        let config = config.map_err(|_| {
            // The text of the error would show the URL and the password in it.
            let problem = "must be the URL of an HTTP proxy, like http://user:password@proxy.example.com:3128";
            Error::new(ErrorKind::Configuration, format!("{} {problem}", self.name))
        })?;
        Ok(config.no_proxy(&self.except))
    }
}

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.trim().is_empty())
}

/// `NO_PROXY` in the form that the HTTP client reads: names, which stand for their subdomains as well, addresses,
/// networks and `*`. Ruby also accepts `*.example.com`, and blanks instead of commas.
fn exceptions(no_proxy: &str) -> String {
    let rules = no_proxy.split([',', ' ', '\t']).filter(|rule| !rule.is_empty());
    let rules = rules.map(|rule| rule.strip_prefix("*.").unwrap_or(rule)).map(without_port);
    rules.chain(LOOPBACK.split(',')).collect::<Vec<_>>().join(",")
}

/// The HTTP client does not compare ports: `host:9000` means the host.
fn without_port(rule: &str) -> &str {
    match rule.rsplit_once(':') {
        Some((host, port)) if !host.contains(':') && port.bytes().all(|byte| byte.is_ascii_digit()) => host,
        _ => rule,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exceptions_are_read_as_ruby_reads_them() {
        let read = |text| exceptions(text).strip_suffix(&format!(",{LOOPBACK}")).map(str::to_owned);
        assert_eq!(read("a.example, *.b.example .c.example:443"), Some("a.example,b.example,.c.example".to_owned()));
        assert_eq!(read("10.0.0.0/8,fd00::1,*"), Some("10.0.0.0/8,fd00::1,*".to_owned()));
        assert_eq!(exceptions(""), LOOPBACK);
    }

    #[test]
    fn an_invalid_proxy_url_is_refused_without_being_shown() {
        for url in ["socks5://user:s3cret@host", "http://", "ht tp://s3cret", "ftp://s3cret"] {
            let settings = ConnectionSettings { proxy: Some(SecretText::new(url.into())), ..Default::default() };
            let refused = Proxy::of(&settings, true).map(|proxy| proxy.config(true));
            let Some(Err(error)) = refused else { unreachable!("{url} was accepted") };
            assert_eq!(error.kind(), ErrorKind::Configuration);
            assert!(error.to_string().starts_with("http_proxy must be"), "{error}");
            assert!(!format!("{error} {error:?} {settings:?}").contains("s3cret"));
        }
    }
}
