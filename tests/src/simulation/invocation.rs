//! One invocation of a function, which may be killed at any of its calls to AWS.

use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use fastrand::Rng;
use tokio::sync::Notify;
use tokio::time::sleep;

use crate::faults::Fault;

/// The fraction of invocations that are killed.
const KILLED: f64 = 0.03;
/// An invocation is killed at one of its first calls. Most make about this many.
const CALLS: u32 = 7;

tokio::task_local! {
    static CURRENT: Arc<Invocation>;
}

/// The state that the calls of an invocation share.
#[derive(Debug)]
pub(super) struct Invocation {
    /// The event that caused it.
    pub(super) event: u32,
    seed: u64,
    calls: AtomicU32,
    /// The call at which it is killed, and whether AWS executes that call.
    killed_at: Option<(u32, bool)>,
    killed: Notify,
    /// How its calls fail in an outage. AWS executes none of them.
    pub(super) outage: Fault,
    faults: AtomicU32,
}

/// One call to AWS.
#[derive(Debug)]
pub(super) struct Call {
    pub(super) invocation: Arc<Invocation>,
    /// The random numbers of this call. They depend only on the seed, the event and the number of the call, so that
    /// other events can be left out.
    pub(super) random: Rng,
    /// If the function is killed at this call, whether AWS executes the call.
    kill: Option<bool>,
}

impl Invocation {
    /// The invocation number `number` of an event.
    pub(super) fn new(seed: u64, event: u32, number: u32, may_be_killed: bool) -> Arc<Self> {
        let seed = mix(mix(seed, event.into()), number.into());
        let mut random = Rng::with_seed(seed);
        let is_killed = random.f64() < KILLED && may_be_killed;
        let killed_at = (random.u32(0..CALLS), random.bool());
        let outages = [Fault::Fails, Fault::TimesOut, Fault::Throttles];
        Arc::new(Self {
            event,
            seed,
            calls: AtomicU32::new(0),
            killed_at: is_killed.then_some(killed_at),
            killed: Notify::new(),
            outage: *random.choice(&outages).expect("a fault"),
            faults: AtomicU32::new(0),
        })
    }

    /// The next call of the current invocation.
    pub(super) fn next_call() -> Call {
        let invocation = CURRENT.with(Arc::clone);
        let number = invocation.calls.fetch_add(1, Ordering::Relaxed);
        let kill = invocation.killed_at.filter(|(at, _)| *at == number).map(|(_, executed)| executed);
        Call { random: Rng::with_seed(mix(invocation.seed, number.into())), kill, invocation }
    }

    pub(super) fn count_fault(&self) {
        self.faults.fetch_add(1, Ordering::Relaxed);
    }

    /// Whether no call has failed or been slow so far.
    pub(super) fn has_no_fault(&self) -> bool {
        self.faults.load(Ordering::Relaxed) == 0
    }

    /// Runs the function. `None` if it is killed or times out.
    pub(super) async fn run<T>(
        self: &Arc<Self>,
        timeout: Duration,
        function: impl Future<Output = T>,
    ) -> Option<T> {
        let function = async {
            tokio::select! {
                biased;
                () = self.killed.notified() => None,
                output = function => Some(output),
                () = sleep(timeout) => None,
            }
        };
        CURRENT.scope(Arc::clone(self), function).await
    }
}

impl Call {
    /// Kills the function if that is planned before this call (`executed` is false), or after it.
    pub(super) async fn kill_if_planned(&self, executed: bool) {
        if self.kill == Some(executed) {
            self.invocation.killed.notify_one();
            pending::<()>().await;
        }
    }
}

/// Mixes a number into a seed, with the finalizer of splitmix64.
pub(super) fn mix(seed: u64, number: u64) -> u64 {
    let mut mixed = seed ^ number.wrapping_add(0x9e37_79b9_7f4a_7c15).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}
