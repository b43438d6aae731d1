//! UTC timestamps with millisecond precision, for keys, badges and messages.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::ids::ParseError;

/// A timestamp between the years 0000 and 9999, with millisecond precision.
///
/// Displays with a fixed width, `2025-01-15T10:30:00.000Z`, so that strings sort by time. Parses RFC 3339 with any
/// offset, and rounds down to the millisecond.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Timestamp {
    unix_milliseconds: i64,
}

impl Timestamp {
    /// A description of a valid value, as a noun phrase.
    pub const EXPECTED: &str = "an RFC 3339 timestamp such as 2025-01-15T10:30:00Z";
    /// 0000-01-01T00:00:00.000Z
    const FIRST_UNIX_MILLISECONDS: i64 = -62_167_219_200_000;
    /// 9999-12-30T22:00:00.000Z, the last second that jiff supports.
    const LAST_UNIX_MILLISECONDS: i64 = 253_402_207_200_000;

    /// 1970-01-01T00:00:00.000Z
    pub const UNIX_EPOCH: Self = Self { unix_milliseconds: 0 };

    /// The latest timestamp that can be represented.
    pub const LAST: Self = Self { unix_milliseconds: Self::LAST_UNIX_MILLISECONDS };

    /// Converts milliseconds since the Unix epoch. A value outside the years 0000 to 9999 becomes the nearest value
    /// inside.
    pub fn from_unix_milliseconds(milliseconds: i64) -> Self {
        let range = Self::FIRST_UNIX_MILLISECONDS..=Self::LAST_UNIX_MILLISECONDS;
        Self { unix_milliseconds: milliseconds.clamp(*range.start(), *range.end()) }
    }

    pub fn unix_milliseconds(self) -> i64 {
        self.unix_milliseconds
    }

    /// Whole seconds since the Unix epoch, the unit of DynamoDB's TTL.
    pub fn unix_seconds(self) -> i64 {
        self.unix_milliseconds.div_euclid(1000)
    }

    /// Adds `duration`, up to the latest timestamp.
    #[must_use]
    pub fn plus(self, duration: Duration) -> Self {
        Self::from_unix_milliseconds(self.unix_milliseconds.saturating_add(milliseconds(duration)))
    }

    /// Subtracts `duration`, down to the year 0000.
    #[must_use]
    pub fn minus(self, duration: Duration) -> Self {
        Self::from_unix_milliseconds(self.unix_milliseconds.saturating_sub(milliseconds(duration)))
    }

    /// The time from `earlier` to `self`; zero if `earlier` is later.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(u64::try_from(self.unix_milliseconds - earlier.unix_milliseconds).unwrap_or(0))
    }

    /// Whether something that was read at this time is younger than `lifetime` at `now`. A time in the future, from
    /// before the clock was set back, is not recent.
    pub fn is_recent(self, now: Self, lifetime: Duration) -> bool {
        self <= now && now.since(self) < lifetime
    }

    /// The format of HTTP date headers (RFC 9110, 5.6.7): `Wed, 15 Jan 2025 10:30:00 GMT`.
    pub fn http_date(self) -> String {
        self.to_jiff().strftime("%a, %d %b %Y %H:%M:%S GMT").to_string()
    }

    fn to_jiff(self) -> jiff::Timestamp {
        // Cannot fail: both constructors enforce the range.
        jiff::Timestamp::from_millisecond(self.unix_milliseconds).unwrap_or(jiff::Timestamp::UNIX_EPOCH)
    }
}

fn milliseconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.3}", self.to_jiff())
    }
}

impl FromStr for Timestamp {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let invalid = ParseError { expected: Self::EXPECTED };
        let parsed: jiff::Timestamp =
            strict_rfc_3339(text).and_then(|text| text.parse().ok()).ok_or(invalid)?;
        let milliseconds = parsed.as_nanosecond().div_euclid(1_000_000);
        let milliseconds = i64::try_from(milliseconds).map_err(|_| invalid)?;
        if milliseconds < Self::FIRST_UNIX_MILLISECONDS {
            return Err(invalid);
        }
        Ok(Self::from_unix_milliseconds(milliseconds))
    }
}

/// Returns `text` with at most nine fractional digits if it has the syntax of RFC 3339, 5.6. jiff accepts more of
/// ISO 8601: basic formats, annotations, commas, offsets with seconds.
fn strict_rfc_3339(text: &str) -> Option<String> {
    let (date_time, rest) = text.split_at_checked(19)?;
    let [_, _, _, _, b'-', _, _, b'-', _, _, b'T' | b't' | b' ', _, _, b':', _, _, b':', _, _] =
        date_time.as_bytes()
    else {
        return None;
    };
    let (fraction, offset) = match rest.strip_prefix('.') {
        Some(rest) => rest.split_at(rest.find(|character: char| !character.is_ascii_digit())?),
        None => ("0", rest),
    };
    let digits = |pair: &[u8]| std::str::from_utf8(pair).ok()?.parse::<u8>().ok();
    let known_offset = match offset.as_bytes() {
        [b'Z' | b'z'] => true,
        [b'+' | b'-', hours @ .., b':', tens, ones] => {
            hours.len() == 2 && digits(hours)? < 24 && digits(&[*tens, *ones])? < 60
        }
        _ => false,
    };
    let fraction = fraction.get(..9).unwrap_or(fraction);
    (known_offset && !fraction.is_empty()).then(|| format!("{date_time}.{fraction}{offset}"))
}

impl TryFrom<String> for Timestamp {
    type Error = ParseError;

    fn try_from(text: String) -> Result<Self, ParseError> {
        text.parse()
    }
}

impl From<Timestamp> for String {
    fn from(timestamp: Timestamp) -> Self {
        timestamp.to_string()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn check(input: &str, expected: Option<&str>) {
        assert_eq!(input.parse::<Timestamp>().ok().map(String::from).as_deref(), expected, "{input:?}");
    }

    #[test]
    fn only_rfc_3339_parses() {
        check("2025-01-15T10:30:00Z", Some("2025-01-15T10:30:00.000Z"));
        check("2025-01-15T12:30:00+02:00", Some("2025-01-15T10:30:00.000Z"));
        check("2025-01-15t10:30:00.123456789z", Some("2025-01-15T10:30:00.123Z"));
        check("2025-01-15T10:30:00.123456789012Z", Some("2025-01-15T10:30:00.123Z"));
        check("2025-01-15T10:30:00-23:59", Some("2025-01-16T10:29:00.000Z"));
        check("1969-12-31T23:59:59.9999Z", Some("1969-12-31T23:59:59.999Z"));
        check("0000-01-01T00:00:00Z", Some("0000-01-01T00:00:00.000Z"));
        for bad in [
            "",
            "2025-01-15",
            "2025-01-15T10:30:00",
            "2025-01-15T10:30Z",
            "20250115T103000Z",
            "2025-13-15T10:30:00Z",
            "2025-01-15T10:30:00+02:00[Europe/Berlin]",
            "-000001-01-15T10:30:00Z",
            "1736937000",
            "yesterday",
            "2025-01-15T10:30:00+00",
            "2025-01-15T10:30:00+0000",
            "2025-01-15T10:30:00,5Z",
            "2025-01-15T10:30:00.Z",
            "2025-01-15T10:30:00+02:00:30",
            "2025-01-15T10:30:00+25:00",
            "2025-01-15T10:30:00+02:60",
            "2025-01-15T10:30:00+-1:00",
            "2025-01-15T10:30:00Zz",
            "2025-01-15T10:30:00\u{e9}",
        ] {
            check(bad, None);
        }
    }

    #[test]
    fn neither_an_old_time_nor_one_in_the_future_is_recent() {
        let now = Timestamp::UNIX_EPOCH;
        let minute = Duration::from_mins(1);
        let at = |milliseconds| Timestamp::from_unix_milliseconds(milliseconds).is_recent(now, minute);
        assert_eq!([-60_000, -59_999, 0, 1].map(at), [false, true, true, false]);
    }

    #[test]
    fn http_dates_follow_rfc_9110() {
        let timestamp: Timestamp = "1994-11-06T08:49:37Z".parse().unwrap();
        assert_eq!(timestamp.http_date(), "Sun, 06 Nov 1994 08:49:37 GMT");
    }

    proptest! {
        #[test]
        fn text_sorts_by_time_and_round_trips(a: i64, b: i64) {
            let (a, b) = (Timestamp::from_unix_milliseconds(a), Timestamp::from_unix_milliseconds(b));
            prop_assert_eq!(a.cmp(&b), a.to_string().cmp(&b.to_string()));
            prop_assert_eq!(a.to_string().parse::<Timestamp>().unwrap(), a);
            prop_assert_eq!(a.to_string().len(), 24);
        }
    }
}
