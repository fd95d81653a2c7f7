//! What the environment and the shared configuration files say of the region and of the addresses of Amazon's services.
//!
//! An empty variable is a missing one, as for Amazon's Ruby SDK: container systems set the variables that a template
//! names, also to an empty text. Amazon's Rust SDK takes an empty text for a region, a profile or an address.

use aws_config::SdkConfig;
use aws_config::imds::region::ImdsRegionProvider;
use aws_config::meta::region::RegionProviderChain;
use aws_config::profile::ProfileFileRegionProvider;
use aws_config::provider_config::ProviderConfig;
use aws_sdk_s3::config::Region;
use aws_types::service_config::ServiceConfigKey;

use super::aws_settings::ConnectionSettings;
use crate::{Error, ErrorKind, Result};

/// The variable with the address of all services. Those of single services begin with it.
const ENDPOINT: &str = "AWS_ENDPOINT_URL";
/// The variables with the region, in the SDK's order.
const REGIONS: [&str; 2] = ["AWS_REGION", "AWS_DEFAULT_REGION"];

/// The name of the profile: that of the settings, of AWS_PROFILE, or `default`.
pub(super) fn profile(settings: &ConnectionSettings) -> String {
    settings.profile.clone().or_else(|| variable("AWS_PROFILE")).unwrap_or_else(|| "default".to_owned())
}

/// The sources of the region that the SDK uses, without empty variables; `None` if no variable is empty.
pub(super) fn region(profile: &str, config: &ProviderConfig) -> Option<RegionProviderChain> {
    let is_empty = |name| std::env::var_os(name).is_some_and(|value| value.is_empty());
    REGIONS.iter().any(is_empty).then(|| {
        RegionProviderChain::first_try(REGIONS.into_iter().find_map(variable).map(Region::new))
            .or_else(ProfileFileRegionProvider::builder().configure(config).profile_name(profile).build())
            .or_else(ImdsRegionProvider::builder().configure(config).build())
    })
}

/// The address of one of Amazon's services that the environment or the profile names.
///
/// # Errors
/// `Configuration` when it is not a URL.
pub(crate) fn endpoint(shared: &SdkConfig, service: &str) -> Result<Option<String>> {
    let configured = |variable: &str| {
        let key = ServiceConfigKey::builder().service_id(service).env(variable).profile("endpoint_url").build();
        key.ok().and_then(|key| shared.service_config()?.load_config(key))
    };
    let found = match configured(ENDPOINT) {
        // The SDK looks no further than to an empty variable. No variable has an empty name, so that only the profile
        // is left.
        Some(empty) if empty.is_empty() => variable(ENDPOINT).or_else(|| configured("")).filter(|url| !url.is_empty()),
        found => found.or_else(|| shared.endpoint_url().map(str::to_owned)),
    };
    match found {
        Some(url) if !is_url(&url) => Err(Error::new(
            ErrorKind::Configuration,
            format!(
                "the endpoint that the environment or the profile names ({ENDPOINT}_{service}, {ENDPOINT}, \
                 endpoint_url) is not a URL that begins with http:// or https://"
            ),
        )),
        found => Ok(found),
    }
}

/// The variable that gives one of Amazon's services an empty address. The SDK's own clients, which exchange credentials,
/// panic at it.
pub(super) fn empty_endpoint(service: &str) -> Option<String> {
    let names = [format!("{ENDPOINT}_{service}"), ENDPOINT.to_owned()];
    let (name, value) = names.into_iter().find_map(|name| std::env::var_os(&name).map(|value| (name, value)))?;
    value.is_empty().then_some(name)
}

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

fn is_url(text: &str) -> bool {
    let text = text.to_ascii_lowercase();
    let host = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    host.is_some_and(|host| !host.is_empty() && !host.contains(char::is_whitespace))
}
