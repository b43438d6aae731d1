//! Badges in the form that shields.io reads: <https://shields.io/badges/endpoint-badge>.

use serde::Serialize;

use crate::test_result::Counts;

/// The colours in use, a closed set: shields.io draws a colour it does not know in bright green.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Color {
    /// All is well.
    BrightGreen,
    /// Some failed.
    Yellow,
    /// Most failed, or the badge's own address is wrong.
    Red,
    /// Nothing can be said.
    LightGrey,
}

/// One badge. As JSON it holds only what shields.io accepts; what is absent is left out, since it
/// refuses `null` and unknown keys:
///
/// ```
/// # use badgesmith_shared::badge::Badge;
/// let json = serde_json::to_string(&Badge::unavailable("tests"))?;
/// assert_eq!(
///     json,
///     r#"{"schemaVersion":1,"label":"tests","message":"unavailable","color":"lightgrey","isError":true}"#
/// );
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Badge {
    schema_version: u8,
    label: &'static str,
    message: String,
    color: Color,
    #[serde(skip_serializing_if = "is_false")]
    is_error: bool,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_false(value: &bool) -> bool {
    !value
}

impl Badge {
    /// The label of a badge about tests.
    pub const TESTS: &str = "tests";

    /// The badge of a test result. A run in which nothing was tested is never green.
    pub fn tests(counts: Counts) -> Self {
        let (passed, failed) = (counts.passed(), counts.failed());
        let (message, color) = if passed == 0 && failed == 0 {
            ("no tests".to_owned(), Color::LightGrey)
        } else if failed == 0 {
            (format!("{passed} passed"), Color::BrightGreen)
        } else if failed > passed {
            (format!("{failed} failed"), Color::Red)
        } else {
            (format!("{passed} passed, {failed} failed"), Color::Yellow)
        };
        Self { schema_version: 1, label: Self::TESTS, message, color, is_error: false }
    }

    /// The badge of an address that can never have a result.
    pub fn not_found(label: &'static str) -> Self {
        Self::error(label, "not found", Color::Red)
    }

    /// The badge of a branch or platform that nothing was reported for yet.
    pub fn no_results(label: &'static str) -> Self {
        Self::error(label, "no results", Color::LightGrey)
    }

    /// The badge while the store cannot be read.
    pub fn unavailable(label: &'static str) -> Self {
        Self::error(label, "unavailable", Color::LightGrey)
    }

    fn error(label: &'static str, message: &str, color: Color) -> Self {
        Self { schema_version: 1, label, message: message.to_owned(), color, is_error: true }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_wording_and_colour() {
        let tests = |passed, failed, skipped| {
            Badge::tests(Counts::new(passed, failed, skipped, passed + failed + skipped).unwrap())
        };
        let badges = [
            tests(190, 0, 0),
            tests(190, 0, 7),
            tests(1, 2, 0),
            tests(0, 5, 1),
            tests(188, 2, 0),
            tests(2, 2, 0),
            tests(0, 0, 0),
            tests(0, 0, 9),
            Badge::not_found(Badge::TESTS),
            Badge::no_results(Badge::TESTS),
            Badge::unavailable(Badge::TESTS),
        ];
        let lines: Vec<_> = badges.iter().map(|badge| serde_json::to_string(badge).unwrap()).collect();
        insta::assert_snapshot!(lines.join("\n"));
    }
}
