//! Durations as text.

use std::time::Duration;

use badgesmith_domain::timestamp::Timestamp;

/// The time since `then`, as [`format_duration`] writes it.
pub(crate) fn age(then: Timestamp, now: Timestamp) -> String {
    format_duration(now.since(then))
}

/// Writes a duration in its two largest units: `45s`, `12m`, `3h 20m`, `5d 1h`.
pub(crate) fn format_duration(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds}s"),
        (0, 0, _) => format!("{minutes}m"),
        (0, _, _) => format!("{hours}h {}m", minutes % 60),
        _ => format!("{days}d {}h", hours % 24),
    }
}

/// Parses a number and one of the units `s`, `m`, `h` and `d`.
pub(crate) fn parse_duration(text: &str) -> Result<Duration, String> {
    let expected = || "expected a number and s, m, h or d, for example 90m".to_owned();
    let (digits, unit) = text.split_at_checked(text.len().saturating_sub(1)).ok_or_else(expected)?;
    let number: u64 = digits.parse().map_err(|_| expected())?;
    let seconds = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        "d" => 86_400,
        _ => return Err(expected()),
    };
    number.checked_mul(seconds).map(Duration::from_secs).ok_or_else(expected)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_written_and_parsed() {
        for (seconds, text) in [(0, "0s"), (59, "59s"), (720, "12m"), (12_000, "3h 20m"), (435_600, "5d 1h")]
        {
            assert_eq!(format_duration(Duration::from_secs(seconds)), text);
        }
        assert_eq!(parse_duration("90m"), Ok(Duration::from_mins(90)));
        assert_eq!(parse_duration("2d"), Ok(Duration::from_hours(48)));
        for bad in ["", "m", "1", "1w", "-1s", "1.5h", "99999999999999999999d", "9999999999999999999d", "1é"]
        {
            assert!(parse_duration(bad).is_err(), "{bad}");
        }
    }
}
