//! The last runs of a branch. A run has the results of all jobs with the same run id.

use std::collections::{HashMap, HashSet};

use badgesmith_domain::ids::Platform;
use badgesmith_domain::test_result::{Conclusion, Counts, Suite, TestResult};
use badgesmith_domain::timestamp::Timestamp;

/// The maximum number of runs.
pub(super) const RUNS_MAX: usize = 100;

/// A suite on a platform.
pub(super) type Job<'a> = (Option<&'a Suite>, Platform);

/// Runs, newest first.
#[derive(Debug)]
pub(super) struct Runs<'a>(Vec<Run<'a>>);

/// One run: the newest result of each suite and platform.
#[derive(Debug)]
pub(super) struct Run<'a> {
    pub(super) results: Vec<&'a TestResult>,
    /// The time of its newest result.
    pub(super) timestamp: Timestamp,
}

impl<'a> Runs<'a> {
    /// The runs of `newest_first`. There may be more results before `complete_after`, so a run that began by then is
    /// left out, unless it is the only one.
    pub(super) fn new(newest_first: &'a [TestResult], complete_after: Option<Timestamp>) -> Self {
        let mut runs: Vec<(Run<'a>, Timestamp)> = Vec::new();
        let mut places = HashMap::new();
        let mut jobs = HashSet::new();
        for result in newest_first.iter().filter(|result| !result.run.outcome.is_retired()) {
            let (run_id, timestamp) = (&result.run.run_id, result.run.timestamp);
            let place = *places.entry(run_id).or_insert(runs.len());
            if place == runs.len() {
                runs.push((Run { results: Vec::new(), timestamp }, timestamp));
            }
            if let Some((run, oldest)) = runs.get_mut(place) {
                *oldest = timestamp;
                // A later attempt replaces an earlier one.
                if jobs.insert((run_id, job(result))) {
                    run.results.push(result);
                }
            }
        }
        let is_whole = |oldest: Timestamp| complete_after.is_none_or(|after| oldest > after);
        let runs = runs.into_iter().enumerate();
        let whole = runs.filter(|(place, (_, oldest))| *place == 0 || is_whole(*oldest));
        Self(whole.map(|(_, (run, _))| run).take(RUNS_MAX).collect())
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn iter(&self) -> std::slice::Iter<'_, Run<'a>> {
        self.0.iter()
    }

    pub(super) fn get(&self, place: usize) -> Option<&Run<'a>> {
        self.0.get(place)
    }
}

impl Run<'_> {
    /// The sum of a count.
    pub(super) fn sum(&self, count: fn(Counts) -> u32) -> u64 {
        self.results.iter().map(|result| u64::from(count(result.run.outcome.counts()))).sum()
    }

    pub(super) fn has_failed(&self) -> bool {
        self.results.iter().any(|result| has_failed(result))
    }
}

pub(super) fn has_failed(result: &TestResult) -> bool {
    result.run.outcome.conclusion() == Some(Conclusion::Failure)
}

pub(super) fn job(result: &TestResult) -> Job<'_> {
    (result.run.suite.as_ref(), result.run.platform)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Results by minute, run and suite, newest first.
    fn results(texts: &[(i64, &str, &str, u32)]) -> Vec<TestResult> {
        let result = |(minute, run_id, suite, failed): &(i64, &str, &str, u32)| {
            let timestamp = Timestamp::from_unix_milliseconds(minute * 60_000);
            let json = format!(
                r#"{{"test_result_id":"6f1f0c7e-8a5d-8e0b-9c1a-2b3c4d5e6f70","owner":"acme","repo":"kit","platform":"linux",
                    "branch":"main","passed":1,"failed":{failed},"skipped":0,"total":{},"timestamp":"{timestamp}",
                    "run_id":"{run_id}","suite":"{suite}"}}"#,
                1 + failed
            );
            serde_json::from_str(&json).unwrap()
        };
        texts.iter().map(result).collect()
    }

    #[test]
    fn a_run_adds_up_its_jobs_and_a_later_attempt_replaces_an_earlier_one() {
        let results = results(&[
            (9, "2", "unit", 0),
            (8, "2", "e2e", 0),
            (7, "2", "unit", 5),
            (6, "1", "unit", 2),
            (5, "1", "e2e", 0),
        ]);
        let runs = Runs::new(&results, None);
        let shown: Vec<_> = runs
            .iter()
            .map(|run| (run.sum(Counts::passed), run.sum(Counts::failed), run.has_failed()))
            .collect();
        assert_eq!(shown, [(2, 0, false), (2, 2, true)]);
    }

    #[test]
    fn a_run_that_may_have_more_results_is_left_out() {
        let results = results(&[(9, "2", "unit", 0), (6, "1", "unit", 2), (5, "1", "e2e", 0)]);
        let after =
            |minute: i64| Runs::new(&results, Some(Timestamp::from_unix_milliseconds(minute * 60_000))).len();
        assert_eq!([4, 5, 6, 9].map(after), [2, 1, 1, 1]);
    }
}
