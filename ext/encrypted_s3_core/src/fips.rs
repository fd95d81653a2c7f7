//! Whether cryptography is done by the FIPS build of aws-lc (the feature `fips`).

use crate::error::{Error, ErrorKind, Result};

/// Whether this is a build with the feature `fips`.
pub const BUILT: bool = cfg!(feature = "fips");

/// Makes sure that a build with the feature `fips` runs with aws-lc's module in FIPS mode. Does nothing in other
/// builds.
///
/// # Errors
/// [`ErrorKind::Configuration`] when the module is not in FIPS mode.
pub fn check() -> Result<()> {
    #[cfg(feature = "fips")]
    return accept(aws_lc_rs::try_fips_mode().is_ok());
    #[cfg(not(feature = "fips"))]
    Ok(())
}

#[cfg_attr(not(any(test, feature = "fips")), allow(dead_code, reason = "used where there is a module"))]
fn accept(fips_mode: bool) -> Result<()> {
    if fips_mode {
        return Ok(());
    }
    Err(Error::new(
        ErrorKind::Configuration,
        "it was built for FIPS, but its aws-lc is not in FIPS mode. Build it again with ENCRYPTED_S3_SERVICE_FIPS=1",
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_library_that_is_not_in_fips_mode_is_refused() {
        let refused = accept(false);
        assert!(matches!(refused, Err(error) if error.to_string().contains("not in FIPS mode")));
        assert!(accept(true).is_ok());
    }

    #[test]
    fn the_library_is_in_fips_mode_exactly_in_a_fips_build() {
        assert!(check().is_ok());
        #[cfg(feature = "aws-lc")]
        assert_eq!(aws_lc_rs::try_fips_mode().is_ok(), BUILT);
    }

    /// TLS calls the library through rustls, not through this crate.
    #[cfg(feature = "fips")]
    #[test]
    fn tls_uses_the_fips_module() {
        assert!(rustls::crypto::default_fips_provider().fips());
    }
}
