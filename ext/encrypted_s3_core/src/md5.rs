//! MD5 in steps. Active Storage uses it as the checksum of a file. It is not a security measure.
//!
//! aws-lc is a third faster than RustCrypto, and MD5 takes more time than any other step of a large upload.

#[cfg(feature = "aws-lc")]
#[allow(unsafe_code, reason = "calls aws-lc's C functions")]
mod aws_lc;
#[cfg(not(feature = "aws-lc"))]
mod rust_crypto;

#[cfg(feature = "aws-lc")]
pub(crate) use self::aws_lc::Md5;
#[cfg(not(feature = "aws-lc"))]
pub(crate) use self::rust_crypto::Md5;

/// Bytes of a digest.
pub(crate) const DIGEST_LEN: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    fn digest<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> [u8; DIGEST_LEN] {
        let mut md5 = Md5::new();
        for piece in pieces {
            md5.update(piece);
        }
        md5.finish()
    }

    fn hex(digest: [u8; DIGEST_LEN]) -> String {
        digest.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    #[test]
    fn digests_are_those_of_rfc_1321() {
        assert_eq!(hex(digest([])), "d41d8cd98f00b204e9800998ecf8427e");
        assert_eq!(hex(digest([&b"abc"[..]])), "900150983cd24fb0d6963f7d28e17f72");
        assert_eq!(hex(digest([&b"message"[..], b"", b" digest"])), "f96b697d7cb7938d525a2f31aaf161d0");
    }

    #[test]
    fn the_digest_does_not_depend_on_the_pieces() {
        use ::md5::Digest;
        let message: Vec<u8> = (0..10_000u32).map(|number| number.to_le_bytes()[0]).collect();
        for size in [1, 63, 64, 65, 4096] {
            let reference: [u8; DIGEST_LEN] = ::md5::Md5::digest(&message).into();
            assert_eq!(digest(message.chunks(size)), reference, "pieces of {size}");
        }
    }
}
