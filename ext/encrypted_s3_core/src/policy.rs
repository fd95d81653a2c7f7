//! The formats that are written and read, under the names of Amazon's SDKs.
//!
//! Two settings decide this: the commitment policy controls key commitment (V3), and the security profile controls the
//! legacy forms. Contradictory combinations are refused when the policy is created, not when an object is read.

use crate::envelope::Format;
use crate::error::{Error, ErrorKind, Result};

/// Whether objects are written with key commitment, and whether objects without it are read (S3 Encryption Client
/// specification, key commitment).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CommitmentPolicy {
    /// V2 is written, V2 and V3 are read.
    ForbidEncryptAllowDecrypt,
    /// V3 is written, V2 and V3 are read.
    RequireEncryptAllowDecrypt,
    /// V3 is written, nothing else is read.
    RequireEncryptRequireDecrypt,
}

impl CommitmentPolicy {
    /// The policy with this `name` in the SDKs.
    ///
    /// # Errors
    /// [`ErrorKind::Configuration`] for any other name.
    pub fn from_name(name: &str) -> Result<Self> {
        [Self::ForbidEncryptAllowDecrypt, Self::RequireEncryptAllowDecrypt, Self::RequireEncryptRequireDecrypt]
            .into_iter()
            .find(|policy| policy.name() == name)
            .ok_or_else(|| {
                wrong(
                    "commitment_policy must be one of forbid_encrypt_allow_decrypt, require_encrypt_allow_decrypt, \
                     require_encrypt_require_decrypt",
                )
            })
    }

    /// The name in the SDKs.
    pub fn name(self) -> &'static str {
        match self {
            Self::ForbidEncryptAllowDecrypt => "forbid_encrypt_allow_decrypt",
            Self::RequireEncryptAllowDecrypt => "require_encrypt_allow_decrypt",
            Self::RequireEncryptRequireDecrypt => "require_encrypt_require_decrypt",
        }
    }
}

/// The Amazon client that a service corresponds to: its format, and whether it reads legacy forms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SecurityProfile {
    /// The V2 client.
    V2,
    /// The V2 client with legacy forms.
    V2AndLegacy,
    /// The V3 client.
    V3,
    /// The V3 client with legacy forms.
    V3AndLegacy,
}

impl SecurityProfile {
    /// The profile with this `name` in the SDKs.
    ///
    /// # Errors
    /// [`ErrorKind::Configuration`] for any other name.
    pub fn from_name(name: &str) -> Result<Self> {
        [Self::V2, Self::V2AndLegacy, Self::V3, Self::V3AndLegacy]
            .into_iter()
            .find(|profile| profile.name() == name)
            .ok_or_else(|| wrong("security_profile must be one of v2, v2_and_legacy, v3, v3_and_legacy"))
    }

    /// The name in the SDKs.
    pub fn name(self) -> &'static str {
        match self {
            Self::V2 => "v2",
            Self::V2AndLegacy => "v2_and_legacy",
            Self::V3 => "v3",
            Self::V3AndLegacy => "v3_and_legacy",
        }
    }

    fn reads_legacy(self) -> bool {
        matches!(self, Self::V2AndLegacy | Self::V3AndLegacy)
    }

    /// The default of Amazon's client for this profile, except for legacy forms in V3: those objects have no
    /// commitment, and the default of the V3 client would refuse them.
    fn default_commitment(self) -> CommitmentPolicy {
        match self {
            Self::V2 | Self::V2AndLegacy => CommitmentPolicy::ForbidEncryptAllowDecrypt,
            Self::V3 => CommitmentPolicy::RequireEncryptRequireDecrypt,
            Self::V3AndLegacy => CommitmentPolicy::RequireEncryptAllowDecrypt,
        }
    }
}

/// The formats that are written and read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    commitment: CommitmentPolicy,
    reads_legacy: bool,
}

impl Default for Policy {
    /// V2 is written, V2 and V3 are read, legacy forms are not.
    fn default() -> Self {
        Self { commitment: CommitmentPolicy::ForbidEncryptAllowDecrypt, reads_legacy: false }
    }
}

impl Policy {
    /// Combines the two settings. A missing setting follows from the other.
    ///
    /// # Errors
    /// [`ErrorKind::Configuration`], naming both settings, for a V2 profile with a policy that writes V3, and for
    /// legacy reading under a policy that reads V3 only.
    pub fn new(commitment: Option<CommitmentPolicy>, profile: Option<SecurityProfile>) -> Result<Self> {
        use CommitmentPolicy::{ForbidEncryptAllowDecrypt, RequireEncryptRequireDecrypt};

        let Some(profile) = profile else {
            return Ok(commitment.map_or_else(Self::default, |commitment| Self { commitment, reads_legacy: false }));
        };
        let commitment = commitment.unwrap_or_else(|| profile.default_commitment());
        let problem = match profile {
            SecurityProfile::V2 | SecurityProfile::V2AndLegacy if commitment != ForbidEncryptAllowDecrypt => {
                "writes V3: use security_profile v3 or v3_and_legacy, or leave it out"
            }
            SecurityProfile::V3AndLegacy if commitment == RequireEncryptRequireDecrypt => {
                "reads V3 only, and no legacy object is V3: use commitment_policy require_encrypt_allow_decrypt"
            }
            _ => return Ok(Self { commitment, reads_legacy: profile.reads_legacy() }),
        };
        Err(wrong(format!(
            "security_profile {} contradicts commitment_policy {}, which {problem}",
            profile.name(),
            commitment.name(),
        )))
    }

    /// The format of new objects: V3 commits to its key, V2 does not.
    pub fn written_format(self) -> Format {
        if self.commitment == CommitmentPolicy::ForbidEncryptAllowDecrypt { Format::V2 } else { Format::V3 }
    }

    /// Checks that an object without key commitment may be read.
    ///
    /// # Errors
    /// [`ErrorKind::CommitmentRequired`].
    pub(crate) fn allow_uncommitted(self) -> Result<()> {
        if self.commitment != CommitmentPolicy::RequireEncryptRequireDecrypt {
            return Ok(());
        }
        Err(Error::new(
            ErrorKind::CommitmentRequired,
            "the object has no key commitment, and commitment_policy require_encrypt_require_decrypt reads V3 only; \
             require_encrypt_allow_decrypt would read it",
        ))
    }

    /// Checks that a legacy object may be read; `reason` is why it counts as legacy.
    ///
    /// # Errors
    /// [`ErrorKind::LegacyDisabled`].
    pub(crate) fn allow_legacy(self, reason: &str) -> Result<()> {
        if self.reads_legacy {
            return Ok(());
        }
        Err(Error::new(
            ErrorKind::LegacyDisabled,
            format!("the object {reason}; only security_profile v2_and_legacy or v3_and_legacy reads such objects"),
        ))
    }
}

fn wrong(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::Configuration, message)
}
