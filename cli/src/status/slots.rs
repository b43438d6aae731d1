//! The slots of a branch and their states.

use badgesmith_domain::slots::{SlotState, silent_after};
use badgesmith_domain::test_result::{Conclusion, TestResult, TestRun};
use badgesmith_domain::timestamp::Timestamp;
use serde::Serialize;

use crate::duration::age;
use crate::table::Table;

/// The newest result of a suite on a platform, and whether it counts.
#[derive(Serialize)]
pub(super) struct SlotStatus {
    #[serde(flatten)]
    result: TestResult,
    state: SlotState,
    /// The earliest time at which the slot becomes silent. `None` for a retired suite.
    silent_after: Option<Timestamp>,
}

impl From<(TestResult, SlotState)> for SlotStatus {
    fn from((result, state): (TestResult, SlotState)) -> Self {
        let silent_after = (state != SlotState::Retired).then(|| silent_after(result.run.timestamp));
        Self { result, state, silent_after }
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
        let silent_after = match (self.state, self.silent_after.map(day)) {
            (SlotState::Live, Some(day)) => day,
            (SlotState::Silent, _) => "silent".to_owned(),
            (SlotState::Retired, _) | (SlotState::Live, None) => "retired".to_owned(),
        };
        [
            age(run.timestamp, now),
            run.platform.to_string(),
            suite_name(run),
            counts.passed().to_string(),
            counts.failed().to_string(),
            run.outcome.conclusion().map_or("-", Conclusion::as_str).to_owned(),
            silent_after,
        ]
    }
}

/// The name of a suite for people.
pub(super) fn suite_name(run: &TestRun) -> String {
    run.suite.as_ref().map_or_else(|| "(unnamed)".to_owned(), ToString::to_string)
}

pub(super) fn table(slots: &[SlotStatus], now: Timestamp) -> Table {
    let mut table =
        Table::new(&["AGE", "PLATFORM", "SUITE", "PASSED", "FAILED", "CONCLUSION", "SILENT AFTER"]);
    for slot in slots {
        table.row(slot.row(now));
    }
    table
}
