//! The client of Amazon's SDK. Stores with the same connection settings share the client, its connections and
//! credentials, and the peculiarities that were found in the store's answers.

use std::collections::HashMap;
use std::hash::{Hash, Hasher};
use std::sync::atomic::{AtomicBool, AtomicU32};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use aws_config::SdkConfig;
use aws_config::provider_config::ProviderConfig;
use aws_sdk_s3::Client;
use aws_sdk_s3::config::retry::{RetryConfig, RetryPartition};
use aws_sdk_s3::config::timeout::TimeoutConfig;
use aws_sdk_s3::config::{
    BehaviorVersion, IdentityCache, Region, RequestChecksumCalculation, ResponseChecksumValidation,
    StalledStreamProtectionConfig,
};
use aws_smithy_http_client::tls;
use aws_smithy_http_client::{Builder, Connector};
use sha2::{Digest, Sha256};
use tokio::sync::OnceCell;

use super::AwsStore;
use super::aws_credentials::{self, CREDENTIALS_TIMEOUT};
use super::aws_environment;
use super::aws_proxy::Proxy;
use super::aws_retry::Unavailable;
use super::aws_settings::{AwsStoreSettings, ChecksumUse, ConnectionSettings, RetryMode};
use super::aws_trust::Trust;
use super::patience::{Patience, WatchedClient};
use crate::kms::{AwsKms, KmsSettings};
use crate::{Error, ErrorKind, Result};

/// Environment variables, or the beginnings of their names, that the connection depends on.
const ENVIRONMENT: [&str; 7] = ["AWS_", "HTTP", "http", "NO_PROXY", "no_proxy", "SSL_CERT_", "HOME"];

/// The connections of one process. Stores that differ by their bucket, or by the keys of their objects, share one.
#[derive(Debug, Default)]
pub struct Connections {
    /// By a digest of the settings, so that the map holds no credentials.
    open: Mutex<HashMap<[u8; 32], Weak<Connection>>>,
}

impl Connections {
    /// Creates an empty set of connections.
    pub fn new() -> Self {
        Self::default()
    }

    /// A store with these `settings`. It shares the connection of earlier stores with the same connection settings.
    pub fn store(&self, settings: AwsStoreSettings) -> AwsStore {
        AwsStore::over(self.connection(settings.connection), settings.bucket, settings.expected_bucket_owner)
    }

    /// AWS KMS with the credentials, proxies, certificates and time limits of `settings`, which are shared with the
    /// stores that have the same settings.
    pub fn kms(&self, settings: ConnectionSettings, kms: KmsSettings) -> AwsKms {
        AwsKms::over(self.connection(settings), kms)
    }

    fn connection(&self, settings: ConnectionSettings) -> Arc<Connection> {
        let digest = digest(&settings);
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(connection) = open.get(&digest).and_then(Weak::upgrade) {
            return connection;
        }
        open.retain(|_, connection| connection.strong_count() > 0);
        let connection = Arc::new(Connection::new(settings));
        open.insert(digest, Arc::downgrade(&connection));
        connection
    }
}

/// The digest of everything that decides where requests are sent and whose credentials they carry: settings and
/// environment.
fn digest(settings: &ConnectionSettings) -> [u8; 32] {
    struct Fingerprint(Sha256);
    impl Hasher for Fingerprint {
        fn write(&mut self, bytes: &[u8]) {
            self.0.update(bytes);
        }

        fn finish(&self) -> u64 {
            0
        }
    }
    let mut fingerprint = Fingerprint(Sha256::new());
    settings.hash(&mut fingerprint);
    let counts = |name: &std::ffi::OsStr| {
        name.to_str().is_some_and(|name| ENVIRONMENT.iter().any(|begin| name.starts_with(begin)))
    };
    let mut environment: Vec<_> = std::env::vars_os().filter(|(name, _)| counts(name)).collect();
    environment.sort();
    environment.hash(&mut fingerprint);
    fingerprint.0.finalize().into()
}

/// Peculiarities of a store that were found in its answers.
#[derive(Debug, Default)]
pub(super) struct Quirks {
    /// It refuses requests for a checksum (Backblaze B2).
    pub(super) refuses_checksum_mode: AtomicBool,
    /// It answers 412 to the right entity tag (a SeaweedFS of 2025).
    pub(super) denies_if_match: AtomicBool,
    /// It does not delete several objects at once.
    pub(super) deletes_singly: AtomicBool,
    /// It does not store an object on the condition that there is none.
    pub(super) stores_unconditionally: AtomicBool,
    /// It requires an MD5 of the body, as some stores do with Object Lock.
    pub(super) wants_md5: AtomicBool,
    /// The number of parts in a row that came with a wrong checksum; see [`WRONG_CHECKSUMS`].
    pub(super) wrong_checksums: AtomicU32,
}

/// After this many wrong checksums in a row, the store is known to send the whole object's checksum with each part of
/// it (Ceph).
pub(super) const WRONG_CHECKSUMS: u32 = 2;

/// The connection to a store.
#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) settings: ConnectionSettings,
    pub(super) quirks: Quirks,
    shared: Mutex<Option<Arc<Shared>>>,
    client: OnceCell<Connected>,
}

/// The data that the clients of all of Amazon's services share: region, credentials and trusted certificates.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) config: SdkConfig,
    pub(crate) trust: Trust,
}

impl Shared {
    /// The configuration of a client whose service is at `endpoint`, or at Amazon's address for `None`: the shared one
    /// with the proxy, retries and time limits of `settings`. Both of the SDK's other time limits are replaced by
    /// [`Patience`], which the client needs as an interceptor.
    ///
    /// # Errors
    /// `Configuration` when no certificate authority is trusted, so that there can be no TLS.
    pub(crate) fn for_service(&self, settings: &ConnectionSettings, endpoint: Option<&str>) -> Result<SdkConfig> {
        let is_secure = is_secure(endpoint);
        if is_secure {
            self.require_authorities()?;
        }
        let proxy = Proxy::of(settings, is_secure);
        let retries = match settings.retry_mode {
            RetryMode::Standard => RetryConfig::standard(),
            RetryMode::Adaptive => RetryConfig::adaptive(),
        };
        let config = self.config.to_builder();
        Ok(config
            .http_client(http_client(settings, &self.trust, proxy.as_ref(), is_secure)?)
            .retry_config(retries.with_max_attempts(settings.max_attempts))
            .timeout_config(TimeoutConfig::builder().connect_timeout(settings.connect_timeout).build())
            .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
            .build())
    }

    fn require_authorities(&self) -> Result<()> {
        if !self.trust.is_empty() {
            return Ok(());
        }
        Err(Error::new(
            ErrorKind::Configuration,
            "no certificate authority is trusted: this system has no CA certificates. Install them (ca-certificates), \
             or name a file by `ssl_ca_bundle` or SSL_CERT_FILE",
        ))
    }
}

/// The client, made on first use, so that nothing touches the network, the disk or a thread before.
#[derive(Debug)]
pub(super) struct Connected {
    pub(super) client: Client,
    /// Whether requests go over TLS.
    pub(super) is_secure: bool,
}

impl Connection {
    pub(super) fn new(settings: ConnectionSettings) -> Self {
        Self { settings, quirks: Quirks::default(), shared: Mutex::default(), client: OnceCell::new() }
    }

    pub(super) async fn connected(&self) -> Result<&Connected> {
        self.client.get_or_try_init(|| async { connect(&self.settings, self.shared().await?.as_ref()) }).await
    }

    /// The environment, the shared configuration files and the certificates are read only here. If the region or an
    /// authority is missing, they are read again the next time, because it may have been added.
    pub(crate) async fn shared(&self) -> Result<Arc<Shared>> {
        let known = self.shared.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(shared) = known {
            return Ok(shared);
        }
        let trust = Trust::of(&self.settings)?;
        let config = shared_config(&self.settings, &trust).await?;
        let shared = Arc::new(Shared { config, trust });
        if shared.config.region().is_none() || shared.trust.is_empty() {
            return Ok(shared);
        }
        let mut slot = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        // Another request may have been faster; both must use the same credentials.
        Ok(slot.get_or_insert(shared).clone())
    }
}

/// The client for `settings`.
fn connect(settings: &ConnectionSettings, shared: &Shared) -> Result<Connected> {
    let endpoint = match settings.endpoint.clone() {
        None => aws_environment::endpoint(&shared.config, "S3")?,
        given => given,
    };
    let service = shared.for_service(settings, endpoint.as_deref())?;
    let region = match (service.region(), &endpoint) {
        (Some(region), _) => region.clone(),
        (None, Some(_)) => Region::new("us-east-1"),
        (None, None) => {
            let message = "no region: set `region`, or AWS_REGION in the environment";
            return Err(Error::new(ErrorKind::Configuration, message));
        }
    };
    let mut config = aws_sdk_s3::config::Builder::from(&service)
        .region(region)
        .force_path_style(settings.force_path_style)
        .accelerate(settings.accelerate)
        .retry_partition(own_retries())
        .retry_classifier(Unavailable)
        .interceptor(Patience { read_timeout: settings.read_timeout, allowance: Duration::ZERO })
        .request_checksum_calculation(match settings.request_checksums {
            ChecksumUse::WhenSupported => RequestChecksumCalculation::WhenSupported,
            ChecksumUse::WhenRequired => RequestChecksumCalculation::WhenRequired,
        })
        .response_checksum_validation(match settings.response_checksums {
            ChecksumUse::WhenSupported => ResponseChecksumValidation::WhenSupported,
            ChecksumUse::WhenRequired => ResponseChecksumValidation::WhenRequired,
        });
    let is_secure = is_secure(endpoint.as_deref());
    config.set_endpoint_url(endpoint.map(with_last_slash));
    Ok(Connected { client: Client::from_conf(config.build()), is_secure })
}

/// A quota of retries for one client. The SDK's own quota is per region: one server that is down would use up the quota
/// of all others.
pub(crate) fn own_retries() -> RetryPartition {
    RetryPartition::custom("one client").build()
}

/// The configuration that Amazon's tools share: profile, region, credentials.
async fn shared_config(settings: &ConnectionSettings, trust: &Trust) -> Result<SdkConfig> {
    // Of the sources of credentials, only Amazon's own services are reached through a proxy. The addresses of instance
    // and container roles are plain HTTP on this machine.
    let http_client = http_client(settings, trust, Proxy::of(settings, true).as_ref(), true)?;
    let profile = aws_environment::profile(settings);
    let mut loader = aws_config::defaults(BehaviorVersion::v2026_01_12())
        .http_client(http_client.clone())
        // Every client has its own. Otherwise the SDK panics at values that it does not know, like `legacy`.
        .retry_config(RetryConfig::standard())
        .identity_cache(IdentityCache::lazy().load_timeout(CREDENTIALS_TIMEOUT).build())
        .profile_name(&profile);
    let sources = ProviderConfig::default().with_http_client(http_client.clone());
    if let Some(region) = settings.region.clone() {
        loader = loader.region(Region::new(region));
    } else if let Some(regions) = aws_environment::region(&profile, &sources) {
        loader = loader.region(regions);
    }
    if let Some(dual_stack) = settings.dual_stack {
        loader = loader.use_dual_stack(dual_stack);
    }
    if let Some(fips) = settings.fips {
        loader = loader.use_fips(fips);
    }
    let shared = loader.no_credentials().load().await;
    // Services that issue credentials are used in the region of the store.
    let provider = ProviderConfig::default()
        .with_http_client(http_client)
        .with_region(shared.region().cloned())
        .with_use_fips(settings.fips)
        .with_use_dual_stack(settings.dual_stack);
    Ok(shared.into_builder().credentials_provider(aws_credentials::provider(settings, &provider)).build())
}

/// Whether an address is reached over TLS, as Amazon's own are.
fn is_secure(endpoint: Option<&str>) -> bool {
    !endpoint.is_some_and(|endpoint| endpoint.to_ascii_lowercase().starts_with("http:"))
}

/// The SDK appends the bucket's name directly to the path of an address: `/storage/v1/s3` would become
/// `/storage/v1/s3files`.
fn with_last_slash(mut endpoint: String) -> String {
    if !endpoint.ends_with('/') {
        endpoint.push('/');
    }
    endpoint
}

fn http_client(
    settings: &ConnectionSettings,
    trust: &Trust,
    proxy: Option<&Proxy>,
    https: bool,
) -> Result<WatchedClient> {
    #[cfg(feature = "fips")]
    let provider = tls::rustls_provider::CryptoMode::AwsLcFips;
    #[cfg(all(feature = "aws-lc", not(feature = "fips")))]
    let provider = tls::rustls_provider::CryptoMode::AwsLc;
    #[cfg(not(feature = "aws-lc"))]
    let provider = tls::rustls_provider::CryptoMode::Ring;
    let context = trust.context()?;
    let proxy = proxy.map(|proxy| proxy.config(https)).transpose()?;
    let (idle_timeout, read_timeout) = (settings.idle_timeout, settings.read_timeout);
    let client = Builder::new().build_with_connector_fn(move |settings, components| {
        let mut connector = Connector::builder().pool_idle_timeout(idle_timeout);
        connector.set_connector_settings(settings.cloned());
        connector.set_proxy_config(proxy.clone());
        if let Some(components) = components {
            connector.set_sleep_impl(components.sleep_impl());
        }
        connector.tls_provider(tls::Provider::Rustls(provider.clone())).tls_context(context.clone()).build()
    });
    Ok(WatchedClient::new(client, read_timeout))
}
