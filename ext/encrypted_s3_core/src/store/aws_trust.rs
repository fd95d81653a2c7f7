//! The trusted certificate authorities.
//!
//! Every certificate is checked here, so that errors can name its file: the TLS library accepts any bytes and panics at
//! the first request.

use std::fs;
use std::path::Path;

use aws_smithy_http_client::tls::{TlsContext, TrustStore};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustls::RootCertStore;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;

use super::aws_settings::ConnectionSettings;
use crate::error::reason;
use crate::{Error, ErrorKind, Result};

/// The authorities that are trusted.
#[derive(Debug)]
pub(crate) struct Trust {
    pem: Vec<u8>,
}

impl Trust {
    /// The authorities of the settings, else of `AWS_CA_BUNDLE`, else of the system (or `SSL_CERT_FILE` and
    /// `SSL_CERT_DIR`).
    ///
    /// # Errors
    /// `Configuration`, with the setting and the file, for a file that cannot be read or is not a certificate.
    pub(super) fn of(settings: &ConnectionSettings) -> Result<Self> {
        let from_environment = std::env::var_os("AWS_CA_BUNDLE").filter(|path| !path.is_empty());
        let mut certificates = Vec::new();
        match (&settings.ca_bundle, &settings.ca_directory, from_environment) {
            (None, None, None) => certificates = system(),
            (None, None, Some(path)) => certificates = file("AWS_CA_BUNDLE", Path::new(&path))?,
            (bundle, directory, _) => {
                if let Some(path) = bundle {
                    certificates.extend(file("ssl_ca_bundle", path)?);
                }
                if let Some(path) = directory {
                    certificates.extend(folder(path)?);
                }
            }
        }
        Ok(Self { pem: certificates.iter().flat_map(|certificate| pem(certificate)).collect() })
    }

    /// Whether no authority is trusted, so that no connection is possible.
    pub(crate) fn is_empty(&self) -> bool {
        self.pem.is_empty()
    }

    /// Converts the authorities for the HTTP client.
    ///
    /// `Configuration` when the TLS library does not accept them.
    pub(super) fn context(&self) -> Result<TlsContext> {
        let mut store = TrustStore::empty();
        if !self.pem.is_empty() {
            store = store.with_pem_certificate(self.pem.clone());
        }
        TlsContext::builder().with_trust_store(store).build().map_err(|error| {
            Error::new(ErrorKind::Configuration, "cannot use the trusted certificates").with_source(error)
        })
    }
}

/// Certificates of the system that the TLS library does not accept are left out: the application cannot repair them.
fn system() -> Vec<CertificateDer<'static>> {
    let found = rustls_native_certs::load_native_certs();
    found.certs.into_iter().filter(is_authority).collect()
}

fn is_authority(certificate: &CertificateDer<'static>) -> bool {
    RootCertStore::empty().add(certificate.clone()).is_ok()
}

fn file(setting: &str, path: &Path) -> Result<Vec<CertificateDer<'static>>> {
    let refuse = |why: &str| Error::new(ErrorKind::Configuration, format!("{setting}: {}: {why}", path.display()));
    let bytes = fs::read(path).map_err(|error| refuse(&format!("cannot be read ({})", reason(&error))))?;
    let certificates = certificates(&bytes).map_err(|why| refuse(&why))?;
    if certificates.is_empty() { Err(refuse(other_content(&bytes))) } else { Ok(certificates) }
}

/// All PEM files of a folder, with any name. Other files are skipped, as OpenSSL skips files without a hash as their
/// name.
fn folder(path: &Path) -> Result<Vec<CertificateDer<'static>>> {
    let refuse =
        |why: &str| Error::new(ErrorKind::Configuration, format!("ssl_ca_directory: {}: {why}", path.display()));
    let entries = fs::read_dir(path).map_err(|error| refuse(&format!("cannot be read ({})", reason(&error))))?;
    let mut found: Vec<CertificateDer<'static>> = Vec::new();
    for entry in entries {
        let path = entry.map_err(|error| refuse(&format!("cannot be read ({})", reason(&error))))?.path();
        let Ok(bytes) = fs::read(&path) else { continue };
        let file = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        for certificate in certificates(&bytes).map_err(|why| refuse(&format!("{file}: {why}")))? {
            // The same file exists under its name and under its hash.
            if !found.contains(&certificate) {
                found.push(certificate);
            }
        }
    }
    if found.is_empty() { Err(refuse("has no file with a certificate in PEM")) } else { Ok(found) }
}

/// The certificates of a PEM file. Its other contents are skipped.
fn certificates(bytes: &[u8]) -> std::result::Result<Vec<CertificateDer<'static>>, String> {
    let mut found = Vec::new();
    for (index, certificate) in CertificateDer::pem_slice_iter(bytes).enumerate() {
        let broken = || format!("certificate number {} of the file is broken", index + 1);
        let certificate = certificate.map_err(|_| broken())?;
        if !is_authority(&certificate) {
            return Err(broken());
        }
        found.push(certificate);
    }
    Ok(found)
}

fn other_content(bytes: &[u8]) -> &'static str {
    let text = String::from_utf8_lossy(bytes);
    if bytes.iter().all(u8::is_ascii_whitespace) {
        "is empty"
    } else if bytes.starts_with(&[0x30]) {
        "is a certificate in DER; convert it to PEM (openssl x509 -inform der -in FILE -out FILE.pem)"
    } else if text.contains("PRIVATE KEY-----") {
        "contains a private key but no certificate"
    } else if text.contains("-----BEGIN TRUSTED CERTIFICATE-----") {
        "is in OpenSSL's own form; convert it to PEM (openssl x509 -in FILE -out FILE.pem)"
    } else {
        "contains no certificate in PEM (-----BEGIN CERTIFICATE-----)"
    }
}

fn pem(certificate: &CertificateDer<'_>) -> Vec<u8> {
    let mut text = b"-----BEGIN CERTIFICATE-----\n".to_vec();
    for line in STANDARD.encode(certificate).as_bytes().chunks(64) {
        text.extend_from_slice(line);
        text.push(b'\n');
    }
    text.extend_from_slice(b"-----END CERTIFICATE-----\n");
    text
}
