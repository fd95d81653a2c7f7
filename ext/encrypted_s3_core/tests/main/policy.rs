//! The valid combinations of settings, and their effects.

use encrypted_s3_core::ErrorKind;
use encrypted_s3_core::policy::{CommitmentPolicy, Policy, SecurityProfile};

use crate::support::{Now as _, key, kind, with_policy};

const COMMITMENTS: [&str; 3] =
    ["forbid_encrypt_allow_decrypt", "require_encrypt_allow_decrypt", "require_encrypt_require_decrypt"];
const PROFILES: [&str; 4] = ["v2", "v2_and_legacy", "v3", "v3_and_legacy"];

fn policy(commitment: Option<&str>, profile: Option<&str>) -> encrypted_s3_core::Result<Policy> {
    let commitment = commitment.map(CommitmentPolicy::from_name).transpose()?;
    Policy::new(commitment, profile.map(SecurityProfile::from_name).transpose()?)
}

/// The marker of the written format.
fn writes(policy: Policy) -> String {
    with_policy(policy, vec![key(None, &[1; 32])]).seal("an object").now().unwrap().1[0].0.clone()
}

#[test]
fn names_are_those_of_the_sdks() {
    for name in COMMITMENTS {
        assert_eq!(CommitmentPolicy::from_name(name).unwrap().name(), name);
    }
    for name in PROFILES {
        assert_eq!(SecurityProfile::from_name(name).unwrap().name(), name);
    }
    for name in ["", "V3", "v4", "legacy", "require"] {
        for error in [CommitmentPolicy::from_name(name).err(), SecurityProfile::from_name(name).err()] {
            let error = error.unwrap();
            assert_eq!(error.kind(), ErrorKind::Configuration);
            assert!(error.to_string().contains("must be one of"), "{error}");
        }
    }
}

#[test]
fn the_default_policy_writes_v2_and_each_setting_alone_writes_as_its_client() {
    assert_eq!(writes(policy(None, None).unwrap()), "x-amz-key-v2");
    let formats = |settings: &[&str], of: fn(&str) -> Policy| -> Vec<String> {
        settings.iter().map(|setting| writes(of(setting))).collect()
    };
    assert_eq!(formats(&COMMITMENTS, |name| policy(Some(name), None).unwrap()), ["x-amz-key-v2", "x-amz-3", "x-amz-3"]);
    assert_eq!(
        formats(&PROFILES, |name| policy(None, Some(name)).unwrap()),
        ["x-amz-key-v2", "x-amz-key-v2", "x-amz-3", "x-amz-3"]
    );
}

#[test]
fn contradictory_settings_are_refused_by_name() {
    let sensible = [
        ("forbid_encrypt_allow_decrypt", "v2"),
        ("forbid_encrypt_allow_decrypt", "v2_and_legacy"),
        ("forbid_encrypt_allow_decrypt", "v3"),
        ("forbid_encrypt_allow_decrypt", "v3_and_legacy"),
        ("require_encrypt_allow_decrypt", "v3"),
        ("require_encrypt_allow_decrypt", "v3_and_legacy"),
        ("require_encrypt_require_decrypt", "v3"),
    ];
    for commitment in COMMITMENTS {
        for profile in PROFILES {
            let result = policy(Some(commitment), Some(profile));
            let expected = (!sensible.contains(&(commitment, profile))).then_some(ErrorKind::Configuration);
            if let Err(error) = &result {
                let message = error.to_string();
                assert!(message.contains(&format!("security_profile {profile} ")), "{message}");
                assert!(message.contains(&format!("commitment_policy {commitment}")), "{message}");
            }
            assert_eq!(kind(result), expected, "{commitment} with {profile}");
        }
    }
}
