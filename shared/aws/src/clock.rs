//! The only source of the present time.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, UNIX_EPOCH};

use badgesmith_domain::timestamp::Timestamp;

/// Tells the time: the machine's wall clock, or one that only moves when told to.
#[derive(Debug, Clone)]
pub enum Clock {
    /// The wall clock of the machine.
    System,
    /// Stands still at the given milliseconds since the Unix epoch; clones share it. For tests.
    Manual(Arc<AtomicI64>),
}

impl Clock {
    /// A clock that stands still at `now` until it is advanced.
    pub fn manual(now: Timestamp) -> Self {
        Self::Manual(Arc::new(AtomicI64::new(now.unix_milliseconds())))
    }

    /// The present time.
    pub fn now(&self) -> Timestamp {
        Timestamp::from_unix_milliseconds(match self {
            Self::System => system_milliseconds(),
            Self::Manual(milliseconds) => milliseconds.load(Ordering::SeqCst),
        })
    }

    /// Moves a manual clock on by `duration`; the system's clock moves by itself.
    pub fn advance(&self, duration: Duration) {
        if let Self::Manual(milliseconds) = self {
            milliseconds.store(self.now().plus(duration).unix_milliseconds(), Ordering::SeqCst);
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "the one place that reads the system's clock")]
fn system_milliseconds() -> i64 {
    let since_epoch = std::time::SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since_epoch.as_millis()).unwrap_or(i64::MAX)
}
