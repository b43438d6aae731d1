//! The only source of the current time.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, UNIX_EPOCH};

use badgesmith_domain::timestamp::Timestamp;

/// A source of the current time.
#[derive(Debug, Clone)]
pub enum Clock {
    /// The wall clock of the machine.
    System,
    /// A clock for tests that stands still until it is advanced. Holds milliseconds since the Unix epoch, which
    /// clones share.
    Manual(Arc<AtomicI64>),
}

impl Clock {
    /// A clock that stands still at `now` until it is advanced.
    pub fn manual(now: Timestamp) -> Self {
        Self::Manual(Arc::new(AtomicI64::new(now.unix_milliseconds())))
    }

    pub fn now(&self) -> Timestamp {
        Timestamp::from_unix_milliseconds(match self {
            Self::System => system_milliseconds(),
            Self::Manual(milliseconds) => milliseconds.load(Ordering::SeqCst),
        })
    }

    /// Advances a manual clock. Has no effect on the system clock.
    pub fn advance(&self, duration: Duration) {
        if let Self::Manual(milliseconds) = self {
            milliseconds.store(self.now().plus(duration).unix_milliseconds(), Ordering::SeqCst);
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "the only place that reads the system clock")]
fn system_milliseconds() -> i64 {
    let since_epoch = std::time::SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since_epoch.as_millis()).unwrap_or(i64::MAX)
}
