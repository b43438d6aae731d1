//! Moving dead letters back: sent first, deleted then.

use std::collections::HashSet;
use std::time::Duration;

use badgesmith_aws::clock::Clock;
use badgesmith_aws::sqs::{Letter, Queue};
use serde_json::json;
use tokio::time::Instant;

use super::look::Looking;
use super::reason::Cause;
use super::scan::Scan;
use crate::error::CliError;
use crate::terminal::Progress;
use crate::told::Told;

/// A replay, as it was asked for.
#[derive(Debug)]
pub(super) struct Replaying<'a> {
    pub(super) looking: Looking<'a>,
    pub(super) source: &'a Queue,
    pub(super) rate: u32,
    pub(super) dry_run: bool,
}

/// What has been done so far.
#[derive(Debug, Default)]
struct Done {
    moved: usize,
    /// Not meant.
    skipped: usize,
    /// Meant, but sent after this had begun.
    arrived: usize,
    /// Not taken by the queue.
    refused: usize,
    /// Why the first of them was not.
    refusal: Option<String>,
}

impl Replaying<'_> {
    pub(super) async fn run(&self) -> Result<Told, CliError> {
        let mut done = Done::default();
        let mut scan = self.looking.scan().await?;
        let worked = self.work(&mut scan, &mut done).await;
        let deleted = scan.deleted();
        let seen = scan.end().await;
        if let Err(failure) = worked {
            let advice = format!("{} were moved before; run it again, nothing is lost", done.moved);
            return Err(CliError::Failed(format!("{failure}; {advice}")));
        }
        Ok(seen.tell(self.told(&done, deleted)))
    }

    async fn work(&self, scan: &mut Scan<'_>, done: &mut Done) -> Result<(), CliError> {
        let most = match usize::try_from(self.rate).unwrap_or(Queue::BATCH) {
            0 => Queue::BATCH,
            rate => rate.min(Queue::BATCH),
        };
        let each = Duration::from_secs(1).checked_div(self.rate).unwrap_or_default();
        let mut progress = Progress::new();
        // When the next may be sent. Time in which nothing was sent is not made up for.
        let mut due = Instant::now();
        while let Some(letters) = scan.next(most, due).await? {
            let meant = self.sort(letters, scan, done);
            if self.dry_run {
                done.moved += meant.len();
            } else if !meant.is_empty() {
                due = Instant::now() + each * u32::try_from(meant.len()).unwrap_or(u32::MAX);
                self.send(&meant, scan, done).await?;
            }
            // What is not meant need not be moved.
            let others = u64::try_from(done.skipped + done.arrived).unwrap_or(u64::MAX);
            progress.bar("moved", done.moved, scan.depth.total().saturating_sub(others));
        }
        Ok(())
    }

    /// Those of `letters` that are to be moved.
    fn sort(&self, letters: Vec<Letter>, scan: &Scan<'_>, done: &mut Done) -> Vec<Letter> {
        let now = Clock::System.now();
        let filter = self.looking.filter;
        let mut meant = Vec::new();
        for letter in letters {
            if !filter.matches(&letter, &Cause::of(filter.queue, &letter), now) {
                done.skipped += 1;
            } else if scan.is_new(&letter) {
                done.arrived += 1;
            } else {
                meant.push(letter);
            }
        }
        meant
    }

    /// Sends letters to where they came from, and has those deleted here that are there now.
    async fn send(&self, letters: &[Letter], scan: &mut Scan<'_>, done: &mut Done) -> Result<(), CliError> {
        let report = self.source.send_again(letters).await?;
        let sent: HashSet<_> = report.sent.into_iter().collect();
        for (position, letter) in letters.iter().enumerate() {
            if sent.contains(&position) {
                scan.delete(letter);
                done.moved += 1;
            } else {
                done.refused += 1;
            }
        }
        done.refusal = done.refusal.take().or(report.refusal);
        Ok(())
    }

    fn told(&self, done: &Done, deleted: usize) -> Told {
        let Done { moved, skipped, arrived, refused, refusal } = done;
        let queue = self.looking.filter.queue.name();
        let undeleted = if self.dry_run { 0 } else { moved - deleted };
        let json = json!({
            "queue": queue,
            "dry_run": self.dry_run,
            "moved": moved,
            "skipped": skipped,
            "arrived": arrived,
            "refused": refused,
            "undeleted": undeleted,
        });
        let verb = if self.dry_run { "would be moved" } else { "moved" };
        let others = if *skipped > 0 { format!(", {skipped} not meant") } else { String::new() };
        let mut told = Told::new(json, format!("{moved} {verb} to the queue of {queue}{others}"));
        told.failed = *refused > 0;
        if *arrived > 0 {
            told = told.note(format!(
                "{arrived} arrived meanwhile, and were left alone. They came back, or are new: `badgesmith dlq list` says \
                 why. What comes back at once can never succeed: purge it."
            ));
        }
        if *refused > 0 {
            let refusal = refusal.as_deref().unwrap_or("no reason given");
            told = told
                .note(format!("{refused} were refused by the queue ({refusal}), and are where they were"));
        }
        if undeleted > 0 {
            told = told
                .note(format!("{undeleted} were moved, but may be here still; moved again they do no harm"));
        }
        told
    }
}
