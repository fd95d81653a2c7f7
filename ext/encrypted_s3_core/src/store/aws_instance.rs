//! Credentials of the role of the machine, from its metadata service.
//!
//! The SDK takes the whole answer of the service for the role's name, and panics at a line end. Clouds other than Amazon
//! send one after the name, or several names.

use aws_config::imds::{self, client::error::ImdsError, credentials::ImdsCredentialsProvider};
use aws_config::provider_config::ProviderConfig;
use aws_credential_types::Credentials;
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{self, ProvideCredentials, future};
use tokio::sync::Mutex;

const ROLES: &str = "/latest/meta-data/iam/security-credentials/";

/// The first role that the metadata service names.
#[derive(Debug)]
pub(super) struct OfInstance {
    client: imds::Client,
    config: ProviderConfig,
    /// The name of the last role, and its provider, which keeps its credentials while the service does not answer.
    last: Mutex<Option<(String, ImdsCredentialsProvider)>>,
}

impl OfInstance {
    pub(super) fn new(client: imds::Client, config: ProviderConfig) -> Self {
        Self { client, config, last: Mutex::default() }
    }

    async fn credentials(&self) -> provider::Result {
        let role = self.role().await;
        let mut last = self.last.lock().await;
        match (role, last.as_ref()) {
            (Ok(role), Some((former, _))) if *former == role => {}
            (Ok(role), _) => *last = Some((role.clone(), self.provider(&role))),
            (Err(error), None) => return Err(error),
            (Err(_), Some(_)) => {}
        }
        match last.as_ref() {
            Some((_, provider)) => provider.provide_credentials().await,
            None => Err(CredentialsError::not_loaded_no_source()),
        }
    }

    fn provider(&self, role: &str) -> ImdsCredentialsProvider {
        let provider = ImdsCredentialsProvider::builder().configure(&self.config);
        provider.imds_client(self.client.clone()).profile(role).build()
    }

    /// Asks for the name of the role.
    ///
    /// # Errors
    /// `CredentialsNotLoaded` on a machine without a metadata service or without a role.
    async fn role(&self) -> std::result::Result<String, CredentialsError> {
        let disabled = std::env::var("AWS_EC2_METADATA_DISABLED").unwrap_or_default();
        if disabled.eq_ignore_ascii_case("true") {
            return Err(CredentialsError::not_loaded("disabled by AWS_EC2_METADATA_DISABLED"));
        }
        let roles = self.client.get(ROLES).await.map_err(|error| match &error {
            ImdsError::FailedToLoadToken(context) if context.is_dispatch_failure() => {
                CredentialsError::not_loaded(error)
            }
            ImdsError::ErrorResponse(context) if context.response().status().as_u16() == 404 => {
                CredentialsError::not_loaded(error)
            }
            _ => CredentialsError::provider_error(error),
        })?;
        let first = roles.as_ref().lines().map(str::trim).find(|name| !name.is_empty());
        let first = first.ok_or_else(|| CredentialsError::not_loaded("the metadata service names no role"))?;
        if !first.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_+=,.@-".contains(&byte)) {
            return Err(CredentialsError::provider_error("the metadata service sends no name of a role"));
        }
        Ok(first.to_owned())
    }
}

impl ProvideCredentials for OfInstance {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::new(self.credentials())
    }

    fn fallback_on_interrupt(&self) -> Option<Credentials> {
        self.last.try_lock().ok()?.as_ref()?.1.fallback_on_interrupt()
    }
}
