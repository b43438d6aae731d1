//! The timeouts of requests upstream.

use std::time::Duration;

#[derive(Debug, Clone)]
pub struct UpstreamTimeouts {
    pub connect: Duration,
    /// The longest wait between two parts of a response.
    pub read: Duration,
    /// The longest time of one attempt, including the whole response.
    pub attempt: Duration,
    /// After this long, no further page of a GitHub package is read, if enough were.
    pub pages: Duration,
    /// The longest wait before the second attempt, doubled before each further one.
    pub first_backoff: Duration,
    /// How long the circuit breaker of a host stays open after three failures in a row.
    pub breaker_open: Duration,
}

impl Default for UpstreamTimeouts {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(3),
            read: Duration::from_secs(5),
            attempt: Duration::from_secs(10),
            pages: Duration::from_secs(45),
            first_backoff: Duration::from_millis(200),
            breaker_open: Duration::from_mins(1),
        }
    }
}
