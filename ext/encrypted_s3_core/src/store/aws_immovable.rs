//! Objects that must stay as they are: archived objects cannot be copied, and a copy of a locked object would add a
//! version beside the locked one.

use std::time::SystemTime;

use aws_sdk_s3::operation::head_object::HeadObjectOutput;
use aws_sdk_s3::primitives::DateTimeFormat;
use aws_sdk_s3::types::{ObjectLockLegalHoldStatus, StorageClass};

/// Why the object that `head` describes must not be copied onto itself.
pub(super) fn reason(head: &HeadObjectOutput, now: SystemTime) -> Option<String> {
    lock(head, now).or_else(|| archive(head))
}

fn archive(head: &HeadObjectOutput) -> Option<String> {
    let restored = head.restore().is_some_and(|restore| restore.contains("ongoing-request=\"false\""));
    let class = match head.storage_class() {
        Some(class @ (StorageClass::Glacier | StorageClass::DeepArchive)) => class.as_str(),
        _ => head.archive_status()?.as_str(),
    };
    (!restored).then(|| format!("it is archived ({class}). Restore it first"))
}

fn lock(head: &HeadObjectOutput, now: SystemTime) -> Option<String> {
    let advice = "A copy would be a new version, and the locked version would stay under its old key";
    if head.object_lock_legal_hold_status() == Some(&ObjectLockLegalHoldStatus::On) {
        return Some(format!("it is locked (Object Lock, legal hold). {advice}"));
    }
    let (mode, until) = (head.object_lock_mode()?, head.object_lock_retain_until_date()?);
    if SystemTime::try_from(*until).is_ok_and(|until| until <= now) {
        return None;
    }
    let until = until.fmt(DateTimeFormat::DateTime).unwrap_or_default();
    Some(format!("it is locked (Object Lock, {} until {until}). {advice}", mode.as_str()))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use aws_sdk_s3::primitives::DateTime;
    use aws_sdk_s3::types::{ArchiveStatus, ObjectLockMode};

    use super::*;

    fn at(seconds: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
    }

    #[test]
    fn an_archived_object_stays_until_it_is_restored() {
        let of = |class| HeadObjectOutput::builder().storage_class(class);
        for class in [StorageClass::Glacier, StorageClass::DeepArchive] {
            assert!(reason(&of(class.clone()).build(), at(0)).is_some_and(|why| why.contains(class.as_str())));
            let restoring = of(class.clone()).restore("ongoing-request=\"true\"").build();
            assert!(reason(&restoring, at(0)).is_some());
            let restored = of(class).restore("ongoing-request=\"false\", expiry-date=\"x\"").build();
            assert_eq!(reason(&restored, at(0)), None);
        }
        let tiered = of(StorageClass::IntelligentTiering).archive_status(ArchiveStatus::ArchiveAccess).build();
        assert!(reason(&tiered, at(0)).is_some());
        for class in [StorageClass::Standard, StorageClass::GlacierIr, StorageClass::IntelligentTiering] {
            assert_eq!(reason(&of(class).build(), at(0)), None);
        }
    }

    #[test]
    fn a_locked_object_stays_until_its_time_is_over() {
        let locked = HeadObjectOutput::builder()
            .object_lock_mode(ObjectLockMode::Compliance)
            .object_lock_retain_until_date(DateTime::from_secs(1000))
            .build();
        assert!(reason(&locked, at(999)).is_some_and(|why| why.contains("COMPLIANCE until 1970-01-01T00:16:40Z")));
        assert_eq!(reason(&locked, at(1000)), None);
        let held = HeadObjectOutput::builder().object_lock_legal_hold_status(ObjectLockLegalHoldStatus::On).build();
        assert!(reason(&held, at(0)).is_some_and(|why| why.contains("legal hold")));
    }
}
