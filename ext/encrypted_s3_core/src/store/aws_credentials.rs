//! Credentials from the sources of Amazon's tools, in the order of Amazon's Ruby SDK.

use std::sync::Arc;
use std::time::Duration;

use aws_config::ecs::EcsCredentialsProvider;
use aws_config::environment::EnvironmentVariableCredentialsProvider;
use aws_config::imds;
use aws_config::meta::credentials::CredentialsProviderChain;
use aws_config::profile::ProfileFileCredentialsProvider;
use aws_config::provider_config::ProviderConfig;
use aws_config::web_identity_token::WebIdentityTokenCredentialsProvider;
use aws_credential_types::Credentials;
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{self, ProvideCredentials, SharedCredentialsProvider, future};
use tokio::sync::Mutex;
use tokio::task::JoinHandle;

use super::aws_environment;
use super::aws_instance::OfInstance;
use super::aws_profile_error::ProfileError;
use super::aws_settings::ConnectionSettings;

/// Time limit for finding credentials, for all providers together.
pub(super) const CREDENTIALS_TIMEOUT: Duration = Duration::from_secs(30);

/// Time limit for a profile. It is shorter, so that the error of the profile, which names the profile, comes first.
const PROFILE_TIMEOUT: Duration = Duration::from_secs(28);

/// The credentials in `settings`, or a search for them.
pub(super) fn provider(settings: &ConnectionSettings, config: &ProviderConfig) -> SharedCredentialsProvider {
    if let Some(given) = &settings.credentials {
        return SharedCredentialsProvider::new(Sendable(Credentials::new(
            given.access_key_id.clone(),
            given.secret_access_key.expose().to_owned(),
            given.session_token.as_ref().map(|token| token.expose().to_owned()),
            None,
            "storage.yml",
        )));
    }
    let instance = instance(settings, config);
    let profile = FromProfile::of(settings, config, &instance);
    let environment = EnvironmentVariableCredentialsProvider::new();
    // A profile that `storage.yml` names comes before the environment. Any other comes after it.
    let chain = if settings.profile.is_some() {
        CredentialsProviderChain::first_try("Profile", profile).or_else("Environment", environment)
    } else {
        CredentialsProviderChain::first_try("Environment", environment).or_else("Profile", profile)
    };
    SharedCredentialsProvider::new(Sendable(
        chain
            .or_else("WebIdentityToken", OfWebIdentity::new(config))
            .or_else("EcsContainer", EcsCredentialsProvider::builder().configure(config).build())
            .or_else("Ec2InstanceMetadata", of_instance(config, &instance)),
    ))
}

/// The services that the SDK asks for credentials, as in the names of variables.
const EXCHANGES: [&str; 3] = ["STS", "SSO", "SSO_OIDC"];

/// Credentials that STS exchanges for a token.
#[derive(Debug)]
struct OfWebIdentity(WebIdentityTokenCredentialsProvider);

impl OfWebIdentity {
    fn new(config: &ProviderConfig) -> Self {
        Self(WebIdentityTokenCredentialsProvider::builder().configure(config).build())
    }

    async fn credentials(&self) -> provider::Result {
        let is_configured = std::env::var_os("AWS_WEB_IDENTITY_TOKEN_FILE").is_some();
        match aws_environment::empty_endpoint("STS").filter(|_| is_configured) {
            Some(variable) => Err(empty(&variable)),
            None => self.0.provide_credentials().await,
        }
    }
}

impl ProvideCredentials for OfWebIdentity {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::new(self.credentials())
    }
}

fn empty(variable: &str) -> CredentialsError {
    let problem = format!("{variable} is empty, so that the service that exchanges them has no address; unset it");
    CredentialsError::invalid_configuration(problem)
}

/// Refuses credentials that cannot be sent in a header, at which the SDK panics: those of a file or a variable may end
/// with a line end.
#[derive(Debug)]
struct Sendable<P>(P);

impl<P: ProvideCredentials> ProvideCredentials for Sendable<P> {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::new(async { self.0.provide_credentials().await.and_then(sendable) })
    }

    fn fallback_on_interrupt(&self) -> Option<Credentials> {
        self.0.fallback_on_interrupt()
    }
}

fn sendable(found: Credentials) -> provider::Result {
    let is_word = |text: &str| text.bytes().all(|byte| byte.is_ascii_graphic());
    let name = if !is_word(found.access_key_id()) {
        "access key id"
    } else if found.secret_access_key().contains(['\r', '\n']) {
        "secret access key"
    } else if !found.session_token().is_none_or(is_word) {
        "session token"
    } else {
        return Ok(found);
    };
    let problem = format!("the {name} contains a line end, a blank or another character that none has");
    Err(CredentialsError::invalid_configuration(problem))
}

/// The client of the instance's metadata service.
fn instance(settings: &ConnectionSettings, config: &ProviderConfig) -> imds::Client {
    let mut instance = imds::Client::builder().configure(config);
    if let Some(timeout) = settings.instance_profile_timeout {
        instance = instance.connect_timeout(timeout).read_timeout(timeout);
    }
    if let Some(attempts) = settings.instance_profile_attempts {
        instance = instance.max_attempts(attempts);
    }
    instance.build()
}

fn of_instance(config: &ProviderConfig, instance: &imds::Client) -> OfInstance {
    OfInstance::new(instance.clone(), config.clone())
}

/// Credentials from a profile of the shared configuration files.
#[derive(Debug)]
struct FromProfile {
    name: String,
    config: ProviderConfig,
    instance: imds::Client,
    search: Mutex<Search>,
}

#[derive(Debug, Default)]
struct Search {
    provider: Option<Arc<ProfileFileCredentialsProvider>>,
    /// The running search. It is a task, so that it outlives the requests that wait for it: a `credential_process` that
    /// does not end is started once and not again with every request, and the next request can use a late answer.
    task: Option<JoinHandle<provider::Result>>,
}

impl FromProfile {
    fn of(settings: &ConnectionSettings, config: &ProviderConfig, instance: &imds::Client) -> Self {
        let name = aws_environment::profile(settings);
        Self { name, config: config.clone(), instance: instance.clone(), search: Mutex::default() }
    }

    fn provider(&self) -> ProfileFileCredentialsProvider {
        ProfileFileCredentialsProvider::builder()
            .configure(&self.config)
            .with_custom_provider("Ec2InstanceMetadata", of_instance(&self.config, &self.instance))
            .profile_name(&self.name)
            .build()
    }

    async fn credentials(&self) -> provider::Result {
        let found = match tokio::time::timeout(PROFILE_TIMEOUT, self.search()).await {
            Ok(found) => found,
            Err(_) => Err(CredentialsError::provider_timed_out(PROFILE_TIMEOUT)),
        };
        match found {
            Err(error) => Err(ProfileError::explain(&self.name, error).await),
            found => found,
        }
    }

    async fn search(&self) -> provider::Result {
        let mut search = self.search.lock().await;
        let provider = search.provider.get_or_insert_with(|| Arc::new(self.provider())).clone();
        let task = search.task.get_or_insert_with(|| tokio::spawn(async move { provider.provide_credentials().await }));
        let found = task.await.unwrap_or_else(|error| {
            let variable = EXCHANGES.into_iter().find_map(aws_environment::empty_endpoint);
            Err(variable.map_or_else(|| CredentialsError::unhandled(error), |variable| empty(&variable)))
        });
        search.task = None;
        if found.is_err() {
            // The provider has read the files and does not read them again.
            search.provider = None;
        }
        found
    }
}

impl ProvideCredentials for FromProfile {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::new(self.credentials())
    }
}
