//! Keys and tags derived from a data key: HKDF with SHA-512 (RFC 5869) and HMAC with SHA-256 (RFC 2104).
//!
//! RustCrypto computes them, or aws-lc's module with the feature `fips`.

#[cfg(feature = "fips")]
mod aws_lc;
#[cfg(not(feature = "fips"))]
mod rust_crypto;

use crate::error::{Error, ErrorKind};

#[cfg(feature = "fips")]
pub(crate) use aws_lc::{Hkdf, Hmac};
#[cfg(not(feature = "fips"))]
pub(crate) use rust_crypto::{Hkdf, Hmac};

/// Bytes of an HMAC.
pub(crate) const MAC_LEN: usize = 32;

fn internal() -> Error {
    Error::new(ErrorKind::Internal, "HKDF refused a length")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Result;

    /// Test case 1 of RFC 4231, section 4.2.
    #[test]
    fn hmac_is_that_of_rfc_4231() -> Result<()> {
        let mut mac = Hmac::new(&[0x0b; 20])?;
        mac.update(b"Hi ");
        mac.update(b"There");
        let expected = [
            0xb0, 0x34, 0x4c, 0x61, 0xd8, 0xdb, 0x38, 0x53, 0x5c, 0xa8, 0xaf, 0xce, 0xaf, 0x0b, 0xf1, 0x2b, 0x88, 0x1d,
            0xc2, 0x00, 0xc9, 0x83, 0x3d, 0xa7, 0x26, 0xe9, 0x37, 0x6c, 0x2e, 0x32, 0xcf, 0xf7,
        ];
        assert_eq!(mac.finish(), expected);
        Ok(())
    }

    #[test]
    fn hkdf_is_that_of_rust_crypto() -> Result<()> {
        let secret = [7; 32];
        let infos: [&[&[u8]]; 3] = [&[], &[b"label"], &[&[3; 80], b"label"]];
        for salt in [&b"encrypted-s3"[..], &[9; 28], &[1; 200]] {
            for info in infos {
                for length in [28, 32, 64, 65, 255] {
                    let (mut ours, mut reference) = (vec![0; length], vec![0; length]);
                    Hkdf::new(salt, &secret).expand(info, &mut ours)?;
                    let hkdf = ::hkdf::Hkdf::<sha2::Sha512>::new(Some(salt), &secret);
                    hkdf.expand(&info.concat(), &mut reference).map_err(|_| internal())?;
                    assert_eq!(ours, reference);
                }
            }
        }
        Ok(())
    }

    #[test]
    fn an_output_beyond_the_limit_of_hkdf_is_refused() {
        let mut too_much = vec![0; 255 * 64 + 1];
        let refused = Hkdf::new(b"salt", &[7; 32]).expand(&[b"label"], &mut too_much);
        assert!(matches!(refused, Err(error) if error.kind() == ErrorKind::Internal));
    }
}
