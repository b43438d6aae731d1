//! The slots of a branch, and until when each counts.

use badgesmith_domain::slots::{Liveness, counts_until};
use badgesmith_domain::test_result::{Conclusion, TestResult};
use badgesmith_domain::timestamp::Timestamp;
use serde::Serialize;

use crate::duration::age;
use crate::table::Table;

/// The newest result of a suite on a platform, and whether it counts.
#[derive(Serialize)]
pub(super) struct SlotStatus {
    #[serde(flatten)]
    result: TestResult,
    state: Liveness,
    /// When it stops counting, or did, unless it reports again. `None` for a retired suite.
    counts_until: Option<Timestamp>,
}

impl From<(TestResult, Liveness)> for SlotStatus {
    fn from((result, state): (TestResult, Liveness)) -> Self {
        let counts_until = (state != Liveness::Retired).then(|| counts_until(result.run.timestamp));
        Self { result, state, counts_until }
    }
}

impl SlotStatus {
    pub(super) fn timestamp(&self) -> Timestamp {
        self.result.run.timestamp
    }

    fn row(&self, now: Timestamp) -> [String; 7] {
        let run = &self.result.run;
        let counts = run.outcome.counts();
        let day = |time: Timestamp| time.to_string().chars().take(10).collect::<String>();
        let counts_until = match (self.state, self.counts_until.map(day)) {
            (Liveness::Live, Some(day)) => day,
            (Liveness::Silent, Some(day)) => format!("silent since {day}"),
            (Liveness::Retired, _) | (_, None) => "retired".to_owned(),
        };
        [
            age(run.timestamp, now),
            run.platform.to_string(),
            run.suite.as_ref().map_or_else(|| "(unnamed)".to_owned(), ToString::to_string),
            counts.passed().to_string(),
            counts.failed().to_string(),
            run.outcome.conclusion().map_or("-", Conclusion::as_str).to_owned(),
            counts_until,
        ]
    }
}

pub(super) fn table(slots: &[SlotStatus], now: Timestamp) -> Table {
    let mut table =
        Table::new(&["AGE", "PLATFORM", "SUITE", "PASSED", "FAILED", "CONCLUSION", "COUNTS UNTIL"]);
    for slot in slots {
        table.row(slot.row(now));
    }
    table
}
