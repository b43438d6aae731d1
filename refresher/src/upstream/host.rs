//! One host upstream: how many requests it gets at once, and whether it gets any.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use failsafe::backoff::{self, Constant};
use failsafe::failure_policy::{self, ConsecutiveFailures};
use failsafe::{Config, Instrument, StateMachine};
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::Instant;

/// So many failures in a row open the circuit breaker.
const FAILURES: u32 = 3;

/// A request that is broken off after more than this has failed.
const SLOW: Duration = Duration::from_secs(10);

/// A host.
#[derive(Debug)]
pub(crate) struct Host {
    permits: Semaphore,
    breaker: StateMachine<ConsecutiveFailures<Constant>, HalfOpen>,
    half_open: HalfOpen,
    /// A probe is under way.
    probing: AtomicBool,
}

/// Whether the breaker is half-open; failsafe tells, but cannot be asked.
#[derive(Debug, Clone, Default)]
struct HalfOpen(Arc<AtomicBool>);

impl Instrument for HalfOpen {
    fn on_call_rejected(&self) {}

    fn on_open(&self) {
        self.0.store(false, Ordering::SeqCst);
    }

    fn on_half_open(&self) {
        self.0.store(true, Ordering::SeqCst);
    }

    fn on_closed(&self) {
        self.0.store(false, Ordering::SeqCst);
    }
}

/// The right to make one request, which the host's circuit breaker is told the end of.
#[derive(Debug)]
pub(crate) struct Turn<'a> {
    host: &'a Host,
    is_probe: bool,
    began: Instant,
    has_ended: bool,
    _permit: SemaphorePermit<'a>,
}

impl Host {
    /// A host that takes so many requests at once, and is left alone for `open_for` when it fails.
    pub(crate) fn new(at_once_max: usize, open_for: Duration) -> Self {
        let half_open = HalfOpen::default();
        let policy = failure_policy::consecutive_failures(FAILURES, backoff::constant(open_for));
        let breaker = Config::new().failure_policy(policy).instrument(half_open.clone()).build();
        Self { permits: Semaphore::new(at_once_max), breaker, half_open, probing: AtomicBool::new(false) }
    }

    /// Waits for a turn; `None` while the circuit breaker is open. When its time is over, one probe decides:
    /// everybody else is still refused.
    pub(crate) async fn turn(&self) -> Option<Turn<'_>> {
        // It is never closed.
        let permit = self.permits.acquire().await.ok()?;
        if !self.breaker.is_call_permitted() {
            return None;
        }
        let is_probe = self.half_open.0.load(Ordering::SeqCst);
        if is_probe && self.probing.swap(true, Ordering::SeqCst) {
            return None;
        }
        Some(Turn { host: self, is_probe, began: Instant::now(), has_ended: false, _permit: permit })
    }
}

impl Turn<'_> {
    /// Tells how it went: whether the host worked at all.
    pub(crate) fn end(mut self, worked: bool) {
        self.has_ended = true;
        if worked {
            self.host.breaker.on_success();
        } else {
            self.host.breaker.on_error();
        }
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        if !self.has_ended && self.began.elapsed() > SLOW {
            self.host.breaker.on_error();
        }
        if self.is_probe {
            self.host.probing.store(false, Ordering::SeqCst);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn three_failures_in_a_row_open_and_one_probe_decides() {
        let open_for = Duration::from_millis(30);
        let host = Host::new(8, open_for);
        let end = async |worked| host.turn().await.expect("a turn").end(worked);
        for worked in [false, false, true, false, false, false] {
            end(worked).await;
        }
        assert!(host.turn().await.is_none(), "open");
        tokio::time::sleep(open_for * 2).await;
        let probe = host.turn().await.expect("half-open: one probe");
        assert!(host.turn().await.is_none(), "and no other");
        probe.end(false);
        assert!(host.turn().await.is_none(), "open again");
        tokio::time::sleep(open_for * 2).await;
        drop(host.turn().await.expect("a probe that never ends"));
        end(true).await;
        let several = [host.turn().await, host.turn().await, host.turn().await];
        assert!(several.iter().all(Option::is_some), "closed");
    }
}
