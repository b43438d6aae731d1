//! Moving dead letters back: sent first, deleted then.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use badgesmith_shared::clock::Clock;
use badgesmith_shared::signature::Digest;
use badgesmith_shared::sqs::{Letter, Queue};
use serde_json::json;

use super::look::{Looking, REPEATS_MAX, WAIT};
use super::reason::Cause;
use crate::failure::Failure;
use crate::terminal::Progress;
use crate::told::{Told, duration};

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
    /// Moved before in this replay, and here again.
    came_back: usize,
    /// Not taken by the queue.
    refused: usize,
    /// Why the first of them was not.
    refusal: Option<String>,
    /// Sent, but still here, to be sent once more by the next replay.
    undeleted: usize,
    /// Left here, and hidden until it is put back.
    held: Vec<Letter>,
    /// The ids of everything that was looked at.
    seen: HashSet<String>,
    /// The bodies of everything that was moved.
    sent: HashSet<Digest>,
}

impl Replaying<'_> {
    pub(super) async fn run(&self) -> Result<Told, Failure> {
        let interrupted = Arc::new(AtomicBool::new(false));
        let heard = Arc::clone(&interrupted);
        // From now on the first Ctrl-C ends it between two batches. Without a runtime for that, it ends at once.
        let listening = tokio::spawn(async move {
            if tokio::signal::ctrl_c().await.is_ok() {
                heard.store(true, Ordering::SeqCst);
            }
        });
        let mut done = Done::default();
        let worked = self.work(&mut done, &interrupted).await;
        listening.abort();
        let put_back = self.looking.dead.put_back(&done.held).await;
        let interrupted = interrupted.load(Ordering::SeqCst);
        if let Err(failure) = worked {
            let advice = format!("{} were moved before; run it again, nothing is lost", done.moved);
            return Err(Failure::Failed(format!("{failure}; {advice}")));
        }
        put_back?;
        let hidden = self.looking.dead.depth().await?.hidden;
        Ok(self.told(&done, hidden, interrupted))
    }

    async fn work(&self, done: &mut Done, interrupted: &AtomicBool) -> Result<(), Failure> {
        let total = self.looking.dead.depth().await?.total();
        let batch = match usize::try_from(self.rate).unwrap_or(Queue::BATCH) {
            0 => Queue::BATCH,
            rate => rate.min(Queue::BATCH),
        };
        let mut progress = Progress::new();
        let started = Instant::now();
        let mut repeats = 0;
        // Sent, and about to be deleted, while the next ones are waited for.
        let mut sent = Vec::new();
        while repeats < REPEATS_MAX && !interrupted.load(Ordering::SeqCst) {
            let pause = self.pause_after(done.moved).saturating_sub(started.elapsed());
            let take = async {
                tokio::time::sleep(pause).await;
                self.looking.dead.take(batch, self.looking.hide, WAIT).await
            };
            let (letters, undeleted) = tokio::join!(take, self.looking.dead.delete(&sent));
            done.undeleted += undeleted?;
            sent.clear();
            let letters = letters?;
            if letters.is_empty() {
                break;
            }
            let meant = self.sort(letters, done);
            repeats = if meant.is_none() { repeats + 1 } else { 0 };
            let meant = meant.unwrap_or_default();
            if self.dry_run {
                done.moved += meant.len();
                done.held.extend(meant);
            } else if !meant.is_empty() {
                sent = self.send(meant, done).await?;
            }
            let looked_at = done.seen.len();
            progress.show(&format!("moved {}, looked at {looked_at} of about {total}", done.moved));
        }
        done.undeleted += self.looking.dead.delete(&sent).await?;
        Ok(())
    }

    /// How long it takes at least to move so many.
    fn pause_after(&self, moved: usize) -> Duration {
        let each = Duration::from_secs(1).checked_div(self.rate).unwrap_or_default();
        if self.dry_run { Duration::ZERO } else { each * u32::try_from(moved).unwrap_or(u32::MAX) }
    }

    /// Those of `letters` that are to be moved; `None` when none of them is new. Holds the others.
    fn sort(&self, letters: Vec<Letter>, done: &mut Done) -> Option<Vec<Letter>> {
        let now = Clock::System.now();
        let filter = self.looking.filter;
        let mut meant = None;
        for letter in letters {
            if !done.seen.insert(letter.id.clone()) {
                done.held.push(letter);
                continue;
            }
            let meant = meant.get_or_insert_with(Vec::new);
            let is_meant = filter.matches(&letter, &Cause::of(filter.queue, &letter), now);
            if is_meant && done.sent.contains(&digest(&letter)) {
                done.came_back += 1;
                done.held.push(letter);
            } else if is_meant {
                meant.push(letter);
            } else {
                done.skipped += 1;
                done.held.push(letter);
            }
        }
        meant
    }

    /// Sends letters to where they came from; those that are there now are to be deleted here.
    async fn send(&self, letters: Vec<Letter>, done: &mut Done) -> Result<Vec<Letter>, Failure> {
        let report = self.source.send_again(&letters).await?;
        let taken: HashSet<_> = report.sent.into_iter().collect();
        let mut sent = Vec::new();
        for (position, letter) in letters.into_iter().enumerate() {
            if taken.contains(&position) {
                done.sent.insert(digest(&letter));
                sent.push(letter);
            } else {
                done.refused += 1;
                done.held.push(letter);
            }
        }
        done.moved += sent.len();
        done.refusal = done.refusal.take().or(report.refusal);
        Ok(sent)
    }

    fn told(&self, done: &Done, hidden: u64, interrupted: bool) -> Told {
        let Done { moved, skipped, came_back, refused, refusal, undeleted, .. } = done;
        let queue = self.looking.filter.queue.name();
        let json = json!({
            "queue": queue,
            "dry_run": self.dry_run,
            "moved": moved,
            "skipped": skipped,
            "came_back": came_back,
            "refused": refused,
            "undeleted": undeleted,
            "hidden": hidden,
            "interrupted": interrupted,
        });
        let verb = if self.dry_run { "would be moved" } else { "moved" };
        let others = if *skipped > 0 { format!(", {skipped} not meant") } else { String::new() };
        let text = format!("{moved} {verb} to the queue of {queue}{others}");
        let mut told = Told::new(json, text);
        told.failed = *refused > 0 || interrupted;
        if *came_back > 0 {
            told = told.note(format!("{came_back} came back at once; `badgesmith dlq list` says why. They can never succeed: purge them."));
        }
        if *refused > 0 {
            let refusal = refusal.as_deref().unwrap_or("no reason given");
            told = told
                .note(format!("{refused} were refused by the queue ({refusal}), and are where they were"));
        }
        if *undeleted > 0 {
            told = told.note(format!("{undeleted} were moved but not deleted; moved again they do no harm"));
        }
        if hidden > 0 {
            let hide = duration(self.looking.hide);
            told = told.note(format!(
                "{hidden} are hidden, perhaps since a replay was killed: run it again in {hide}"
            ));
        }
        if interrupted {
            told = told.note("interrupted; nothing is lost: run it again for the rest");
        }
        told
    }
}

/// Tells bodies apart.
fn digest(letter: &Letter) -> Digest {
    Digest::of(letter.body.as_bytes())
}
