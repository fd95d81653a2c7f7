//! Why a profile of the shared configuration files provides no credentials, and the remedy.
//!
//! Only codes are repeated from the output of processes and the answers of services: the rest may hold secrets.

use std::borrow::Cow;
use std::error::Error as StdError;
use std::fmt;

use aws_config::meta::ProviderChainError;
use aws_config::profile::{Profile, ProfileSet};
use aws_credential_types::provider::error::CredentialsError;
use aws_smithy_types::error::ErrorMetadata;
use aws_types::os_shim_internal::{Env, Fs};

use super::aws_cause;

/// Settings of a profile that decide the advice after its failure; the first one that is present counts.
const DEMANDS: [&str; 6] =
    ["mfa_serial", "login_session", "credential_process", "sso_session", "sso_start_url", "role_arn"];

const UNDEFINED: &str = "it is not defined in the files of AWS_CONFIG_FILE and AWS_SHARED_CREDENTIALS_FILE \
                         (~/.aws/config, ~/.aws/credentials)";

/// Maximum number of profiles that follow each other by `source_profile`.
const LONGEST_CHAIN: usize = 10;

/// A profile that provides no credentials.
#[derive(Debug)]
pub(super) struct ProfileError {
    profile: String,
    /// The first of [`DEMANDS`] that the profile, or a profile to which it refers, has.
    demand: Option<&'static str>,
    error: CredentialsError,
}

impl ProfileError {
    /// The error that names the profile. Other providers are tried if the profile does not exist or has no settings for
    /// credentials.
    pub(super) async fn explain(profile: &str, error: CredentialsError) -> CredentialsError {
        let of_profile = |demand, error| Self { profile: profile.to_owned(), demand, error };
        let Some(profiles) = load(profile).await else {
            return CredentialsError::provider_error(of_profile(None, error));
        };
        let is_defined = profiles.get_profile(profile).is_some();
        if !is_defined && profile == "default" {
            return CredentialsError::not_loaded_no_source();
        }
        let is_silent = matches!(&error, CredentialsError::CredentialsNotLoaded(_)) && error.source().is_none();
        if !is_defined || is_silent {
            let problem = if is_defined { "it has no settings for credentials" } else { UNDEFINED };
            return CredentialsError::not_loaded(of_profile(None, CredentialsError::not_loaded(problem)));
        }
        CredentialsError::provider_error(of_profile(demand(&profiles, profile), error))
    }

    /// Finds this error among the causes of `error`, or among the providers that were tried before all had failed.
    pub(super) fn find<'a>(error: &'a (dyn StdError + 'static)) -> Option<&'a Self> {
        aws_cause::chain(error).find_map(|cause| {
            let tried = || cause.downcast_ref::<ProviderChainError<CredentialsError>>();
            let of_tried =
                || tried()?.attempts().iter().find_map(|tried| tried.error().source()?.downcast_ref::<Self>());
            cause.downcast_ref::<Self>().or_else(of_tried)
        })
    }

    fn advice(&self, texts: &str) -> Option<String> {
        let by_hand = "Run the command of `credential_process` by hand to see its output";
        let login = format!("Run `aws sso login --profile {}`", self.profile);
        Some(match self.demand? {
            "mfa_serial" => {
                "A one-time password (`mfa_serial`) cannot be entered here. Use a profile without it, or a \
                 `credential_process` that asks for it"
                    .to_owned()
            }
            "login_session" => "Profiles of `aws login` (`login_session`) are not supported. Use SSO, a role, a \
                                `credential_process` or keys"
                .to_owned(),
            "credential_process" if texts.contains("process") => by_hand.to_owned(),
            "credential_process" if self.is_late() => format!("Its `credential_process` does not end. {by_hand}"),
            "sso_session" | "sso_start_url" if needs_login(texts) => login,
            _ => return None,
        })
    }

    fn is_late(&self) -> bool {
        matches!(self.error, CredentialsError::ProviderTimedOut(_))
    }
}

impl StdError for ProfileError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        Some(&self.error)
    }
}

impl fmt::Display for ProfileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let texts = details(&self.error);
        write!(f, "the profile `{}` provides none: {texts}", self.profile)?;
        self.advice(&texts).map_or(Ok(()), |advice| write!(f, ". {advice}"))
    }
}

/// Whether an SSO token is missing, expired, or no longer known to the portal.
fn needs_login(texts: &str) -> bool {
    ["SSO token", "sso/cache", "UnauthorizedException", "InvalidGrantException"].iter().any(|text| texts.contains(text))
}

async fn load(profile: &str) -> Option<ProfileSet> {
    let profile = Cow::Owned(profile.to_owned());
    aws_config::profile::load(&Fs::real(), &Env::real(), &Default::default(), Some(profile)).await.ok()
}

fn demand(profiles: &ProfileSet, name: &str) -> Option<&'static str> {
    let next = |profile: &&Profile| profiles.get_profile(profile.get("source_profile")?);
    let chain = || std::iter::successors(profiles.get_profile(name), next).take(LONGEST_CHAIN);
    DEMANDS.into_iter().find(|demand| chain().any(|profile| profile.get(demand).is_some()))
}

/// The errors of the credential providers, without the output of processes and the texts of services.
pub(super) fn details(error: &(dyn StdError + 'static)) -> String {
    let mut texts: Vec<String> = Vec::new();
    let mut is_answer = false;
    for cause in aws_cause::chain(error).take(10) {
        // The first only reports that there are no credentials; the other repeats the code and the text of a service.
        if (cause.is::<CredentialsError>() && cause.source().is_some()) || cause.is::<ErrorMetadata>() {
            continue;
        }
        let text = cause.to_string();
        let text = if is_answer { code(&text).to_owned() } else { printable(&text) };
        is_answer = is_answer || text == "service error";
        if !text.is_empty() && !text.contains("://") && !texts.iter().any(|before| before.contains(&text)) {
            texts.push(text);
        }
    }
    match aws_cause::find(error) {
        // The advice concerns the connection to the store.
        Some(finding) => format!("{}: {}", texts.join(": "), finding.cause),
        None => texts.join(": "),
    }
}

/// Removes the error output of a process.
fn printable(text: &str) -> String {
    let text: String = text.split("Stderr:").next().unwrap_or_default().chars().take(300).collect();
    text.trim_end_matches(['.', ' ']).replace(['\n', '\r'], " ")
}

/// The code in the text of a service's error: `unhandled error (Code)`, or `Code: text of the service`.
fn code(text: &str) -> &str {
    let text = text.strip_prefix("unhandled error (").unwrap_or(text);
    let end = text.find(|c: char| !c.is_ascii_alphanumeric() && c != '.').unwrap_or(text.len());
    text.get(..end).unwrap_or_default()
}
