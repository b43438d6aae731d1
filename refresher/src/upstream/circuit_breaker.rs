//! The circuit breaker of a host upstream, which also bounds the concurrent requests to it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use failsafe::backoff::{self, Constant};
use failsafe::failure_policy::{self, ConsecutiveFailures};
use failsafe::{Config, Instrument, StateMachine};
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::Instant;

/// Failures in a row that open the breaker.
const FAILURES: u32 = 3;

/// A request that is canceled after more time than this counts as a failure.
const SLOW: Duration = Duration::from_secs(10);

#[derive(Debug)]
pub(super) struct CircuitBreaker {
    permits: Semaphore,
    state: StateMachine<ConsecutiveFailures<Constant>, HalfOpen>,
    half_open: HalfOpen,
    is_probing: AtomicBool,
}

/// Whether the breaker is half-open. failsafe reports changes of its state, but has no getter for it.
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

/// The permission to send one request. The sender reports its result with [`Permit::complete`].
#[derive(Debug)]
pub(super) struct Permit<'a> {
    breaker: &'a CircuitBreaker,
    is_probe: bool,
    started: Instant,
    is_complete: bool,
    _slot: SemaphorePermit<'a>,
}

impl CircuitBreaker {
    /// A closed breaker that allows `concurrency_max` requests at once, and stays open for `open_for` after failures.
    pub(super) fn new(concurrency_max: usize, open_for: Duration) -> Self {
        let half_open = HalfOpen::default();
        let policy = failure_policy::consecutive_failures(FAILURES, backoff::constant(open_for));
        let state = Config::new().failure_policy(policy).instrument(half_open.clone()).build();
        let permits = Semaphore::new(concurrency_max);
        Self { permits, state, half_open, is_probing: AtomicBool::new(false) }
    }

    /// Waits for a permit; `None` while the breaker is open. Half-open, it permits one probe at a time, which closes
    /// or opens it.
    pub(super) async fn acquire(&self) -> Option<Permit<'_>> {
        // Fails only if the semaphore is closed, and nothing closes it.
        let slot = self.permits.acquire().await.ok()?;
        if !self.state.is_call_permitted() {
            return None;
        }
        let is_probe = self.half_open.0.load(Ordering::SeqCst);
        if is_probe && self.is_probing.swap(true, Ordering::SeqCst) {
            return None;
        }
        Some(Permit { breaker: self, is_probe, started: Instant::now(), is_complete: false, _slot: slot })
    }
}

impl Permit<'_> {
    /// Reports the result of the request: whether the host answered.
    pub(super) fn complete(mut self, answered: bool) {
        self.is_complete = true;
        if answered {
            self.breaker.state.on_success();
        } else {
            self.breaker.state.on_error();
        }
    }
}

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        if !self.is_complete && self.started.elapsed() > SLOW {
            self.breaker.state.on_error();
        }
        if self.is_probe {
            self.breaker.is_probing.store(false, Ordering::SeqCst);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn three_failures_in_a_row_open_the_breaker_and_one_probe_decides() {
        let open_for = Duration::from_millis(250);
        let breaker = CircuitBreaker::new(8, open_for);
        let complete = async |answered| breaker.acquire().await.expect("a permit").complete(answered);
        for answered in [false, false, true, false, false, false] {
            complete(answered).await;
        }
        assert!(breaker.acquire().await.is_none(), "open");
        tokio::time::sleep(open_for * 2).await;
        let probe = breaker.acquire().await.expect("half-open: one probe");
        assert!(breaker.acquire().await.is_none(), "and no other");
        probe.complete(false);
        assert!(breaker.acquire().await.is_none(), "open again");
        tokio::time::sleep(open_for * 2).await;
        drop(breaker.acquire().await.expect("a probe that is canceled"));
        complete(true).await;
        let several = [breaker.acquire().await, breaker.acquire().await, breaker.acquire().await];
        assert!(several.iter().all(Option::is_some), "closed");
    }
}
