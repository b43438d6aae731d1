//! Periodic tasks.

use std::time::Duration;

use tokio::time::{Instant, MissedTickBehavior};
use tokio_util::sync::CancellationToken;

/// Runs `task` every `period` until `stop` is canceled, first after one period. A run is never canceled, and runs never
/// overlap: one that takes longer than the period delays the next.
pub async fn every<F: Future<Output = ()>>(
    period: Duration,
    stop: CancellationToken,
    mut task: impl FnMut() -> F,
) {
    let mut interval = tokio::time::interval_at(Instant::now() + period, period);
    interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = interval.tick() => task().await,
            () = stop.cancelled() => return,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_task_runs_every_period_until_it_is_stopped() {
        let stop = CancellationToken::new();
        let runs = Cell::new(0);
        let task = every(Duration::from_mins(1), stop.clone(), || async { runs.set(runs.get() + 1) });
        let clock = async {
            tokio::time::sleep(Duration::from_secs(150)).await;
            stop.cancel();
        };
        tokio::join!(task, clock);
        assert_eq!(runs.get(), 2, "at 60 and 120 seconds");
    }
}
