//! Connection settings for a bucket at Amazon or at a compatible store.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use zeroize::Zeroizing;

/// A text that is wiped on drop and never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct SecretText(Zeroizing<String>);

impl SecretText {
    /// Takes ownership of the text.
    pub fn new(text: String) -> Self {
        Self(Zeroizing::new(text))
    }

    pub(super) fn expose(&self) -> &str {
        &self.0
    }
}

impl std::hash::Hash for SecretText {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.0.as_str().hash(state);
    }
}

impl fmt::Debug for SecretText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

/// Credentials from the configuration.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Credentials {
    /// The id of the access key; not secret.
    pub access_key_id: String,
    /// The secret access key.
    pub secret_access_key: SecretText,
    /// The session token of temporary credentials.
    pub session_token: Option<SecretText>,
}

/// When the client adds or checks its own checksum.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum ChecksumUse {
    /// For every operation that supports one.
    #[default]
    WhenSupported,
    /// Only where the operation requires one; for stores that refuse unknown headers.
    WhenRequired,
}

/// How requests are retried.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum RetryMode {
    /// With growing pauses.
    #[default]
    Standard,
    /// The same, and requests are delayed while the store throttles them.
    Adaptive,
}

/// How a store is reached. Stores with equal settings share connections and credentials.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ConnectionSettings {
    /// The region; `None` looks in the environment and the profile, and then uses `us-east-1` if there is an endpoint.
    pub region: Option<String>,
    /// The address of an S3-compatible store; `None` looks in the environment and the profile, and then uses Amazon's.
    pub endpoint: Option<String>,
    /// Puts the bucket into the path rather than into the host name.
    pub force_path_style: bool,
    /// Amazon's endpoints for transfer acceleration.
    pub accelerate: bool,
    /// Amazon's endpoints for IPv6 and IPv4; `None` looks in the environment and the profile.
    pub dual_stack: Option<bool>,
    /// Amazon's endpoints of FIPS 140; `None` looks in the environment and the profile.
    pub fips: Option<bool>,
    /// `None` searches environment, profile, web identity, container and instance role, in Amazon's order.
    pub credentials: Option<Credentials>,
    /// The profile in the shared configuration files; `None` is `AWS_PROFILE` or the default.
    pub profile: Option<String>,
    /// Time limit for each answer of the instance's metadata service; `None` is the SDK's.
    pub instance_profile_timeout: Option<Duration>,
    /// Maximum number of requests to that service, including the first; `None` is the SDK's.
    pub instance_profile_attempts: Option<u32>,
    /// Time limit for a connection attempt.
    pub connect_timeout: Duration,
    /// Time without progress, in either direction, after which an attempt counts as failed.
    pub read_timeout: Duration,
    /// How long an idle connection is kept.
    pub idle_timeout: Duration,
    /// Maximum number of attempts of a request, including the first.
    pub max_attempts: u32,
    /// How requests are retried.
    pub retry_mode: RetryMode,
    /// A PEM file whose certificates are trusted instead of the system's.
    pub ca_bundle: Option<PathBuf>,
    /// A folder of PEM files whose certificates are trusted instead of the system's.
    pub ca_directory: Option<PathBuf>,
    /// The URL of a proxy, with its user and password; `None` looks in the environment.
    pub proxy: Option<SecretText>,
    /// Checksums of requests.
    pub request_checksums: ChecksumUse,
    /// Checksums of answers.
    pub response_checksums: ChecksumUse,
}

impl Default for ConnectionSettings {
    fn default() -> Self {
        Self {
            region: None,
            endpoint: None,
            force_path_style: false,
            accelerate: false,
            dual_stack: None,
            fips: None,
            credentials: None,
            profile: None,
            instance_profile_timeout: None,
            instance_profile_attempts: None,
            connect_timeout: Duration::from_secs(15),
            read_timeout: Duration::from_secs(60),
            idle_timeout: Duration::from_secs(90),
            max_attempts: 4,
            retry_mode: RetryMode::default(),
            ca_bundle: None,
            ca_directory: None,
            proxy: None,
            request_checksums: ChecksumUse::default(),
            response_checksums: ChecksumUse::default(),
        }
    }
}

/// A bucket, and its connection.
#[derive(Clone, Debug, Default)]
pub struct AwsStoreSettings {
    /// The bucket's name, or the ARN of an access point.
    pub bucket: String,
    /// The account that must own the bucket; S3 refuses each request otherwise.
    pub expected_bucket_owner: Option<String>,
    /// The connection.
    pub connection: ConnectionSettings,
}
