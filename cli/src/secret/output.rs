//! The output of `badgesmith secret`.

use std::fmt;

use badgesmith_aws::secrets_manager::PREVIOUS_KEY_LIFETIME;
use badgesmith_domain::timestamp::Timestamp;
use serde::Serialize;

use crate::duration::{age, format_duration};

/// A key that was created or rotated. Its text is the key alone, for `$(...)`.
#[derive(Serialize)]
pub(super) struct NewKey {
    pub(super) repository: String,
    pub(super) secret: String,
    pub(super) key: String,
    /// `None` if there was no previous key, or it is revoked.
    pub(super) previous_valid_until: Option<Timestamp>,
}

#[derive(Serialize)]
pub(super) struct KeyDescription {
    pub(super) repository: String,
    pub(super) secret: String,
    pub(super) created_at: Timestamp,
    pub(super) rotated_at: Option<Timestamp>,
    /// The end of the recovery window of a deleted key.
    pub(super) deletes_at: Option<Timestamp>,
    #[serde(skip)]
    pub(super) now: Timestamp,
}

#[derive(Serialize)]
pub(super) struct DeletedKey {
    pub(super) repository: String,
    pub(super) secret: String,
    /// The recovery window in days.
    pub(super) recovery_days: u8,
}

impl fmt::Display for NewKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.key)
    }
}

impl fmt::Display for KeyDescription {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { secret, created_at, rotated_at, deletes_at, now, .. } = self;
        write!(f, "secret   {secret}\ncreated  {created_at}, {} ago", age(*created_at, *now))?;
        if let Some(rotated_at) = rotated_at {
            write!(f, "\nrotated  {rotated_at}, {} ago", age(*rotated_at, *now))?;
            if let Some(valid_for) = PREVIOUS_KEY_LIFETIME.checked_sub(now.since(*rotated_at)) {
                let valid_for = format_duration(valid_for);
                write!(f, "; the old key is valid for another {valid_for}, unless it was revoked")?;
            }
        }
        if let Some(deletes_at) = deletes_at {
            let restore = format!("aws secretsmanager restore-secret --secret-id {secret}");
            write!(f, "\ndeleted  can be restored until {deletes_at} with `{restore}`")?;
        }
        Ok(())
    }
}

impl fmt::Display for DeletedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "deleted the key of {}", self.repository)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(time: &str) -> Timestamp {
        time.parse().unwrap()
    }

    #[test]
    fn a_new_key_is_alone_in_the_text() {
        let key = NewKey {
            repository: "acme/kit".to_owned(),
            secret: "badge/repo/acme/kit".to_owned(),
            key: "c2VjcmV0".to_owned(),
            previous_valid_until: Some(at("2026-05-02T10:00:00Z")),
        };
        assert_eq!(key.to_string(), "c2VjcmV0");
        insta::assert_json_snapshot!(key, @r#"
        {
          "repository": "acme/kit",
          "secret": "badge/repo/acme/kit",
          "key": "c2VjcmV0",
          "previous_valid_until": "2026-05-02T10:00:00.000Z"
        }
        "#);
    }

    #[test]
    fn a_description_has_every_date_of_the_key() {
        let key = KeyDescription {
            repository: "acme/kit".to_owned(),
            secret: "badge/repo/acme/kit".to_owned(),
            created_at: at("2026-05-01T10:00:00Z"),
            rotated_at: Some(at("2026-05-03T10:00:00Z")),
            deletes_at: Some(at("2026-06-01T10:00:00Z")),
            now: at("2026-05-03T12:30:00Z"),
        };
        insta::assert_snapshot!(key, @r"
        secret   badge/repo/acme/kit
        created  2026-05-01T10:00:00.000Z, 2d 2h ago
        rotated  2026-05-03T10:00:00.000Z, 2h 30m ago; the old key is valid for another 21h 30m, unless it was revoked
        deleted  can be restored until 2026-06-01T10:00:00.000Z with `aws secretsmanager restore-secret --secret-id badge/repo/acme/kit`
        ");
        insta::assert_json_snapshot!(key, @r#"
        {
          "repository": "acme/kit",
          "secret": "badge/repo/acme/kit",
          "created_at": "2026-05-01T10:00:00.000Z",
          "rotated_at": "2026-05-03T10:00:00.000Z",
          "deletes_at": "2026-06-01T10:00:00.000Z"
        }
        "#);
    }

    #[test]
    fn a_deleted_key_can_be_restored_during_its_recovery_window() {
        let key = DeletedKey {
            repository: "acme/kit".to_owned(),
            secret: "badge/repo/acme/kit".to_owned(),
            recovery_days: 30,
        };
        assert_eq!(key.to_string(), "deleted the key of acme/kit");
        insta::assert_json_snapshot!(key, @r#"
        {
          "repository": "acme/kit",
          "secret": "badge/repo/acme/kit",
          "recovery_days": 30
        }
        "#);
    }
}
