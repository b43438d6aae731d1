//! A rate limit.

use std::time::Duration;

use crate::timestamp::Timestamp;

/// A token bucket: allows a burst, then a constant rate per second.
#[derive(Debug, Clone)]
pub struct TokenBucket {
    burst: f64,
    per_second: f64,
    tokens: f64,
    filled_at: Option<Timestamp>,
}

impl TokenBucket {
    /// Creates a full bucket.
    pub fn new(burst: f64, per_second: f64) -> Self {
        Self { burst, per_second, tokens: burst, filled_at: None }
    }

    /// Takes one token; `false` if none is left.
    #[must_use]
    pub fn take(&mut self, now: Timestamp) -> bool {
        let has_one = self.has_one(now);
        if has_one {
            self.tokens -= 1.0;
        }
        has_one
    }

    /// Returns a token, or a part of one.
    pub fn give_back(&mut self, tokens: f64) {
        self.tokens = (self.tokens + tokens).min(self.burst);
    }

    /// Whether a token is left.
    #[must_use]
    pub fn has_one(&mut self, now: Timestamp) -> bool {
        let elapsed = self.filled_at.map_or(Duration::ZERO, |at| now.since(at));
        self.tokens = (self.tokens + elapsed.as_secs_f64() * self.per_second).min(self.burst);
        self.filled_at = Some(now);
        self.tokens >= 1.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_allows_a_burst_and_then_a_steady_rate() {
        let mut bucket = TokenBucket::new(3.0, 2.0);
        let start = Timestamp::from_unix_milliseconds(0);
        let mut taken = |after, wanted: usize| {
            (0..wanted).filter(|_| bucket.take(start.plus(Duration::from_millis(after)))).count()
        };
        assert_eq!(taken(0, 10), 3);
        assert_eq!(taken(499, 10), 0);
        assert_eq!(taken(1000, 10), 2);
        assert_eq!(taken(60_000, 10), 3, "never more than the burst");
        bucket.give_back(0.5);
        assert!(!bucket.take(start.plus(Duration::from_mins(1))));
        bucket.give_back(10.0);
        let taken = (0..10).filter(|_| bucket.take(start.plus(Duration::from_mins(1)))).count();
        assert_eq!(taken, 3, "never more than the burst");
    }
}
