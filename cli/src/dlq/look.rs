//! Reading dead letters where they are, and throwing them away.

use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

use badgesmith_shared::clock::Clock;
use badgesmith_shared::sqs::{Letter, Queue};
use badgesmith_shared::timestamp::Timestamp;
use serde_json::{Value, json};

use super::reason::{Cause, Filter, to_json};
use crate::failure::Failure;
use crate::terminal::{self, Progress};
use crate::told::{Table, Told, age};

/// How long SQS is waited for when it has nothing at hand: without waiting it asks some of its machines only.
pub(super) const WAIT: Duration = Duration::from_secs(1);
/// When only known messages come so many times in a row, there are no others.
pub(super) const REPEATS_MAX: usize = 3;

/// A queue of dead letters, and those of them that are meant.
#[derive(Debug)]
pub(super) struct Looking<'a> {
    pub(super) dead: &'a Queue,
    pub(super) filter: &'a Filter,
    pub(super) hide: Duration,
}

/// What was found: all letters stay hidden until they are put back.
#[derive(Debug, Default)]
struct Found {
    /// Those that are meant, the oldest first.
    meant: Vec<(Letter, Cause)>,
    /// Everything that was received.
    held: Vec<Letter>,
    examined: usize,
}

impl Looking<'_> {
    /// Takes messages until there are no more, or `max` of them.
    async fn take_all(&self, max: usize) -> Result<Found, Failure> {
        let mut found = Found::default();
        let mut seen = HashSet::new();
        let mut repeats = 0;
        let mut progress = Progress::new();
        let now = Clock::System.now();
        while found.examined < max && repeats < REPEATS_MAX {
            let most = Queue::BATCH.min(max - found.examined);
            let letters = self.dead.take(most, self.hide, WAIT).await?;
            if letters.is_empty() {
                break;
            }
            repeats += 1;
            for letter in letters {
                found.held.push(letter.clone());
                if seen.insert(letter.id.clone()) {
                    repeats = 0;
                    found.examined += 1;
                    let cause = Cause::of(self.filter.queue, &letter);
                    if self.filter.matches(&letter, &cause, now) {
                        found.meant.push((letter, cause));
                    }
                }
            }
            progress.show(&format!("looked at {}", found.examined));
        }
        found.meant.sort_by_key(|(letter, _)| letter.sent_at);
        Ok(found)
    }

    pub(super) async fn list(&self, max: usize) -> Result<Told, Failure> {
        let depth = self.dead.depth().await?;
        let found = self.take_all(max).await?;
        self.dead.put_back(&found.held).await?;
        let now = Clock::System.now();
        let mut reasons: BTreeMap<&str, usize> = BTreeMap::new();
        for (_, cause) in &found.meant {
            *reasons.entry(&cause.reason).or_default() += 1;
        }
        let letters: Vec<Value> = found.meant.iter().map(|(letter, cause)| to_json(letter, cause)).collect();
        let json = json!({
            "queue": self.filter.queue.name(),
            "waiting": depth.waiting,
            "hidden": depth.hidden,
            "examined": found.examined,
            "reasons": reasons,
            "letters": letters,
        });
        let queue = self.filter.queue.name();
        let mut told = if found.meant.is_empty() {
            let none = if depth.total() == 0 { "no dead letters" } else { "no such dead letters" };
            Told::new(json, format!("{none} of {queue}"))
        } else {
            let mut counts = Table::new(&["COUNT", "REASON"]);
            for (reason, count) in reasons {
                counts.row([count.to_string(), reason.to_owned()]);
            }
            Told::new(json, format!("{}\n\n{counts}", table(&found.meant, now)))
        };
        if depth.hidden > 0 {
            told = told.note(format!("{} more are hidden, since somebody has received them", depth.hidden));
        }
        if found.examined >= max && depth.waiting > u64::try_from(max).unwrap_or(u64::MAX) {
            told = told.note(format!("{max} of about {} were looked at; --max raises that", depth.waiting));
        }
        Ok(told)
    }

    pub(super) async fn show(&self, id: Option<&str>, max: usize) -> Result<Told, Failure> {
        let mut found = self.take_all(max).await?;
        self.dead.put_back(&found.held).await?;
        found.meant.retain(|(letter, _)| id.is_none_or(|id| letter.id == id));
        if found.meant.is_empty() {
            let advice = "`badgesmith dlq list` lists what there is; what somebody else has received shows again later";
            let queue = self.filter.queue.name();
            return Err(Failure::NotFound(format!("there is no such dead letter of {queue}: {advice}")));
        }
        let letters: Vec<Value> = found.meant.iter().map(|(letter, cause)| to_json(letter, cause)).collect();
        let now = Clock::System.now();
        let texts: Vec<_> = found.meant.iter().map(|(letter, cause)| text(letter, cause, now)).collect();
        Ok(Told::new(json!({ "letters": letters }), texts.join("\n\n")))
    }

    pub(super) async fn purge(&self, yes: bool) -> Result<Told, Failure> {
        let queue = self.filter.queue.name();
        let told = |count: u64| {
            Told::new(
                json!({ "queue": queue, "deleted": count }),
                format!("deleted {count} dead letters of {queue}"),
            )
        };
        if self.filter.is_everything() {
            let count = self.dead.depth().await?.total();
            if count == 0 {
                return Ok(told(0));
            }
            terminal::confirm(&format!("Delete all {count} dead letters of {queue}, for good?"), yes)?;
            self.dead.purge().await?;
            return Ok(told(count).note("It may take a minute until they are all gone."));
        }
        let found = self.take_all(usize::MAX).await?;
        let count = found.meant.len();
        let agreed = match count {
            0 => Ok(()),
            _ => terminal::confirm(&format!("Delete {count} dead letters of {queue}, for good?"), yes),
        };
        let mut refused = 0;
        if agreed.is_ok() {
            let letters: Vec<_> = found.meant.iter().map(|(letter, _)| letter.clone()).collect();
            for chunk in letters.chunks(Queue::BATCH) {
                refused += self.dead.delete(chunk).await?;
            }
        }
        self.dead.put_back(&found.held).await?;
        agreed?;
        let mut told = told(u64::try_from(count - refused).unwrap_or_default());
        if refused > 0 {
            told.failed = true;
            told = told.note(format!("{refused} could not be deleted: run it again, with a longer --hide"));
        }
        Ok(told)
    }
}

pub(super) fn table(letters: &[(Letter, Cause)], now: Timestamp) -> Table {
    let mut table = Table::new(&["AGE", "OF", "REASON", "ID"]);
    for (letter, Cause { subject, reason }) in letters {
        let subject = subject.clone().unwrap_or_else(|| "?".to_owned());
        let reason = match reason.char_indices().nth(80) {
            Some((end, _)) => format!("{}...", reason.get(..end).unwrap_or(reason)),
            None => reason.clone(),
        };
        table.row([age(letter.sent_at, now), subject, reason, letter.id.clone()]);
    }
    table
}

/// A letter as a whole, for people.
fn text(letter: &Letter, cause: &Cause, now: Timestamp) -> String {
    let parsed: Option<Value> = serde_json::from_str(&letter.body).ok();
    let body = parsed.and_then(|body| serde_json::to_string_pretty(&body).ok());
    let body = body.as_ref().unwrap_or(&letter.body);
    let mut lines = vec![
        format!("id      {}", letter.id),
        format!("reason  {}", cause.reason),
        format!("sent    {}, {} ago", letter.sent_at, age(letter.sent_at, now)),
    ];
    lines.extend(letter.failed_at.map(|at| format!("failed  {at}, {} ago", age(at, now))));
    terminal::printable(&format!("{}\n{body}", lines.join("\n")))
}
