//! The algorithms by which clients have wrapped data keys.

use std::fmt;

/// The algorithm that wrapped a data key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wrap {
    /// `AES/GCM`, in V3 `02`.
    AesGcm,
    /// `RSA-OAEP-SHA1`, in V3 `22`.
    RsaOaepSha1,
    /// `kms+context`, in V3 `12`.
    KmsContext,
    /// `AESWrap`: RFC 3394.
    AesKw,
    /// `RSA/ECB/OAEPWithSHA-256AndMGF1Padding`.
    RsaOaepSha256,
    /// `kms`, without a context.
    Kms,
    /// V1 under an AES key: ECB with padding.
    AesEcb,
    /// V1 under an RSA key: PKCS#1 v1.5.
    RsaPkcs1,
}

/// The kind of key for a wrap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Aes,
    Rsa,
    Kms,
}

impl Wrap {
    /// The name in V2's `x-amz-wrap-alg`; V1 has no names.
    pub(crate) fn from_v2_name(name: &str) -> Option<Self> {
        match name {
            "AES/GCM" => Some(Self::AesGcm),
            "RSA-OAEP-SHA1" => Some(Self::RsaOaepSha1),
            "kms+context" => Some(Self::KmsContext),
            "AESWrap" => Some(Self::AesKw),
            "RSA/ECB/OAEPWithSHA-256AndMGF1Padding" => Some(Self::RsaOaepSha256),
            "kms" => Some(Self::Kms),
            _ => None,
        }
    }

    /// The name in V3's `x-amz-w`. Some clients list numbers for the legacy algorithms as well; no client has ever
    /// written them.
    pub(crate) fn from_v3_name(name: &str) -> Option<Self> {
        match name {
            "02" => Some(Self::AesGcm),
            "12" => Some(Self::KmsContext),
            "22" => Some(Self::RsaOaepSha1),
            _ => None,
        }
    }

    /// Whether the wrapped key is not bound to the content algorithm, so that a bucket writer can name another one
    /// (CVE-2020-8912).
    pub(crate) fn is_legacy(self) -> bool {
        !matches!(self, Self::AesGcm | Self::RsaOaepSha1 | Self::KmsContext)
    }

    pub(super) fn kind(self) -> Kind {
        match self {
            Self::AesGcm | Self::AesKw | Self::AesEcb => Kind::Aes,
            Self::RsaOaepSha1 | Self::RsaOaepSha256 | Self::RsaPkcs1 => Kind::Rsa,
            Self::KmsContext | Self::Kms => Kind::Kms,
        }
    }
}

/// An algorithm that wraps data keys today.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WritingWrap {
    AesGcm,
    RsaOaepSha1,
    KmsContext,
}

impl WritingWrap {
    /// The same algorithm among those that are read.
    pub(super) fn read(self) -> Wrap {
        match self {
            Self::AesGcm => Wrap::AesGcm,
            Self::RsaOaepSha1 => Wrap::RsaOaepSha1,
            Self::KmsContext => Wrap::KmsContext,
        }
    }

    /// The name in V2's `x-amz-wrap-alg`.
    pub(crate) fn v2_name(self) -> &'static str {
        match self {
            Self::AesGcm => "AES/GCM",
            Self::RsaOaepSha1 => "RSA-OAEP-SHA1",
            Self::KmsContext => "kms+context",
        }
    }

    /// The name in V3's `x-amz-w`.
    pub(crate) fn v3_name(self) -> &'static str {
        match self {
            Self::AesGcm => "02",
            Self::RsaOaepSha1 => "22",
            Self::KmsContext => "12",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Aes => "an AES key",
            Self::Rsa => "an RSA key",
            Self::Kms => "AWS KMS",
        })
    }
}
