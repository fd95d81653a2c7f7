//! Checksums of plaintext, computed in steps. Active Storage requires one for each file. They are not a security
//! measure: GCM authenticates the content.

mod beside;
mod expected;
mod sha;

use self::sha::Sha;
use crate::md5::Md5;

pub(crate) use self::beside::Digester;
pub(crate) use self::expected::Expected;

/// The digest algorithm of a checksum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Algorithm {
    /// MD5, Active Storage's default.
    Md5,
    /// SHA-256. On processors with SHA instructions it takes a third of the time of MD5.
    Sha256,
    /// SHA-512.
    Sha512,
}

impl Algorithm {
    /// Returns the algorithm with this name: `md5`, `sha256` or `sha512`.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Md5, Self::Sha256, Self::Sha512].into_iter().find(|algorithm| algorithm.name() == name)
    }

    /// Its name, as OpenSSL and Active Storage write it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Md5 => "md5",
            Self::Sha256 => "sha256",
            Self::Sha512 => "sha512",
        }
    }

    /// The number of bytes of a digest.
    fn digest_len(self) -> usize {
        match self {
            Self::Md5 => crate::md5::DIGEST_LEN,
            Self::Sha256 => 32,
            Self::Sha512 => 64,
        }
    }
}

/// An announced checksum.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checksum {
    /// The digest algorithm.
    pub algorithm: Algorithm,
    /// The digest in base64.
    pub base64: String,
}

/// Computes a digest.
enum Hasher {
    Md5(Md5),
    Sha(Sha),
}

impl Hasher {
    /// Starts with no bytes.
    fn new(algorithm: Algorithm) -> Self {
        match algorithm {
            Algorithm::Md5 => Self::Md5(Md5::new()),
            Algorithm::Sha256 => Self::Sha(Sha::sha256()),
            Algorithm::Sha512 => Self::Sha(Sha::sha512()),
        }
    }

    /// Adds the next bytes.
    fn update(&mut self, bytes: &[u8]) {
        match self {
            Self::Md5(md5) => md5.update(bytes),
            Self::Sha(sha) => sha.update(bytes),
        }
    }

    /// The digest of all bytes.
    fn finish(self) -> Vec<u8> {
        match self {
            Self::Md5(md5) => md5.finish().to_vec(),
            Self::Sha(sha) => sha.finish(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hex(algorithm: Algorithm, pieces: &[&[u8]]) -> String {
        let mut hasher = Hasher::new(algorithm);
        pieces.iter().for_each(|piece| hasher.update(piece));
        let digest = hasher.finish();
        assert_eq!(digest.len(), algorithm.digest_len());
        digest.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// FIPS 180-4's examples (NIST, "Examples with Intermediate Values"), and RFC 1321 A.5 for MD5.
    #[test]
    fn digests_are_those_of_the_standards() {
        let md5 = "900150983cd24fb0d6963f7d28e17f72";
        let sha256 = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        let sha512 = "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a\
                      2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f";
        for (algorithm, digest) in [(Algorithm::Md5, md5), (Algorithm::Sha256, sha256), (Algorithm::Sha512, sha512)] {
            assert_eq!(hex(algorithm, &[b"abc"]), digest, "{}", algorithm.name());
            assert_eq!(hex(algorithm, &[b"a", b"", b"bc"]), digest, "{} in pieces", algorithm.name());
        }
    }

    #[tokio::test]
    async fn the_digesting_thread_computes_the_same_digest() {
        const MIB: usize = 1024 * 1024;
        let message: Vec<u8> = (0..3 * MIB / 4).flat_map(|number| (number as u32).to_le_bytes()).collect();
        for length in [0, 1, MIB - 1, MIB, MIB + 1, MIB + 256 * 1024, MIB + 256 * 1024 + 1, 3 * MIB] {
            for piece in [64 * 1024, 100_003, 2 * MIB] {
                for algorithm in [Algorithm::Md5, Algorithm::Sha256] {
                    let mut digester = Digester::new(algorithm);
                    for piece in message.get(..length).unwrap_or_default().chunks(piece) {
                        digester.update(piece).await;
                    }
                    let mut hasher = Hasher::new(algorithm);
                    hasher.update(message.get(..length).unwrap_or_default());
                    assert_eq!(digester.finish().await.ok(), Some(hasher.finish()), "{length} bytes in {piece}");
                }
            }
        }
    }

    #[test]
    fn names_are_understood() {
        for algorithm in [Algorithm::Md5, Algorithm::Sha256, Algorithm::Sha512] {
            assert_eq!(Algorithm::from_name(algorithm.name()), Some(algorithm));
        }
        assert_eq!(Algorithm::from_name("SHA256"), None);
        assert_eq!(Algorithm::from_name("crc32"), None);
    }
}
