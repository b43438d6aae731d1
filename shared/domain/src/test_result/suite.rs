//! Names of suites and of failed tests.

use sha2::{Digest, Sha256};

use crate::ids::string_newtype;

string_newtype! {
    /// The name of a suite, by default that of the CI job, such as `ci / test (3.12)`. Case-sensitive. Results without
    /// a suite belong to the unnamed suite.
    Suite, "1 to 80 bytes of UTF-8 without control characters or surrounding whitespace", |text| {
        let fits = (1..=80).contains(&text.len()) && text.trim() == text && !text.chars().any(char::is_control);
        fits.then(|| text.to_owned())
    }
}

string_newtype! {
    /// The name of a failed test.
    FailedTest, "1 to 200 bytes of UTF-8 without control or format characters", |text| {
        let fits = (1..=200).contains(&text.len())
            && !text.chars().any(|character| character.is_control() || is_format(character));
        fits.then(|| text.to_owned())
    }
}

/// The bytes of a long job name that a suite keeps, before `~` and eight hex digits of its digest.
const JOB_BYTES_KEPT: usize = 71;

impl Suite {
    /// The suite of a job. A name that is too long is truncated and ends in part of its SHA-256 digest, so that
    /// different jobs have different suites. `None` for an empty name.
    pub fn from_job_name(name: &str) -> Option<Self> {
        let name: String =
            name.chars().map(|character| if character.is_control() { ' ' } else { character }).collect();
        let name = name.trim();
        if let Ok(suite) = name.parse() {
            return Some(suite);
        }
        let digest = hex::encode(Sha256::digest(name));
        let end = name.floor_char_boundary(JOB_BYTES_KEPT);
        format!("{}~{}", name.get(..end)?.trim_end(), digest.get(..8)?)
            .parse()
            .ok()
            .filter(|_| !name.is_empty())
    }
}

impl FailedTest {
    /// The maximum number of names in one result.
    pub const COUNT_MAX: usize = 20;

    /// The name of a test as its report has it, at most the first 200 bytes. Control and format characters become
    /// U+FFFD. `None` for an empty name.
    pub fn from_name(name: &str) -> Option<Self> {
        let replace_unsafe = |character: char| {
            if character.is_control() || is_format(character) {
                char::REPLACEMENT_CHARACTER
            } else {
                character
            }
        };
        let name: String = name.chars().map(replace_unsafe).collect();
        name.get(..name.floor_char_boundary(200))?.parse().ok()
    }
}

/// Whether Unicode 16 puts a character into the category `Cf`. Such characters are invisible, and some reorder the
/// text around them.
fn is_format(character: char) -> bool {
    matches!(
        character,
        '\u{AD}' | '\u{600}'..='\u{605}' | '\u{61C}' | '\u{6DD}' | '\u{70F}' | '\u{890}'..='\u{891}' | '\u{8E2}'
            | '\u{180E}' | '\u{200B}'..='\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2060}'..='\u{2064}'
            | '\u{2066}'..='\u{206F}' | '\u{FEFF}' | '\u{FFF9}'..='\u{FFFB}' | '\u{110BD}' | '\u{110CD}'
            | '\u{13430}'..='\u{1343F}' | '\u{1BCA0}'..='\u{1BCA3}' | '\u{1D173}'..='\u{1D17A}' | '\u{E0001}'
            | '\u{E0020}'..='\u{E007F}'
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn suites_keep_their_case() {
        for good in ["ci / test (3.12)", "a", "\u{2603}", &"s".repeat(80)] {
            assert_eq!(good.parse::<Suite>().unwrap().as_str(), good);
        }
        for bad in ["", " a", "a ", "a\nb", "a\u{7f}", "\u{a0}a", &"s".repeat(81)] {
            assert!(bad.parse::<Suite>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn long_job_names_are_shortened_without_colliding() {
        let suite = |name: &str| Suite::from_job_name(name).map(|suite| suite.to_string());
        assert_eq!(suite(" ci /\ttest ").as_deref(), Some("ci / test"));
        assert_eq!(suite(" \n "), None);
        let (a, b) = (
            suite(&format!("{}a", "ä".repeat(60))).unwrap(),
            suite(&format!("{}b", "ä".repeat(60))).unwrap(),
        );
        assert_ne!(a, b);
        assert!(a.starts_with(&"ä".repeat(35)) && a.len() <= 80, "{a}");
    }

    #[test]
    fn any_test_name_can_be_converted() {
        let name = |name: &str| FailedTest::from_name(name).map(|name| name.to_string());
        assert_eq!(name("a\t\u{202e}b").as_deref(), Some("a\u{fffd}\u{fffd}b"));
        assert_eq!(name(&"ä".repeat(150)), Some("ä".repeat(100)));
        assert_eq!(name(""), None);
    }

    #[test]
    fn names_of_failed_tests_cannot_reorder_text() {
        assert!("a::b (case 1)".parse::<FailedTest>().is_ok());
        for bad in ["", "a\tb", "a\u{202e}b", "a\u{200b}", "\u{feff}a", &"t".repeat(201)] {
            assert!(bad.parse::<FailedTest>().is_err(), "{bad:?}");
        }
    }
}
