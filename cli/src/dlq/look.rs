//! Reading dead letters where they are, and throwing them away.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::time::Duration;

use badgesmith_aws::clock::Clock;
use badgesmith_aws::sqs::{Letter, Queue};
use badgesmith_domain::timestamp::Timestamp;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::reason::{Cause, Filter, to_json};
use super::scan::Scan;
use crate::duration::age;
use crate::error::CliError;
use crate::table::Table;
use crate::terminal::{self, Progress};
use crate::told::Told;

/// A queue of dead letters, and those of them that are meant.
#[derive(Debug)]
pub(super) struct Looking<'a> {
    pub(super) dead: &'a Queue,
    pub(super) filter: &'a Filter,
    pub(super) hide: Duration,
}

impl Looking<'_> {
    pub(super) async fn scan(&self) -> Result<Scan<'_>, CliError> {
        Scan::begin(self.dead, self.hide).await
    }

    /// Has `each` look at all letters, until it breaks off; its last argument is whether the letter is meant.
    async fn look(
        &self,
        scan: &mut Scan<'_>,
        mut each: impl FnMut(&mut Scan<'_>, Letter, Cause, bool) -> ControlFlow<()>,
    ) -> Result<(), CliError> {
        let now = Clock::System.now();
        let mut progress = Progress::new();
        while let Some(letters) = scan.next(Queue::BATCH, Instant::now()).await? {
            for letter in letters {
                let cause = Cause::of(self.filter.queue, &letter);
                let is_meant = self.filter.matches(&letter, &cause, now);
                if each(scan, letter, cause, is_meant).is_break() {
                    return Ok(());
                }
            }
            progress.bar("looked at", scan.seen, scan.depth.total());
        }
        Ok(())
    }

    /// The letters that are meant, of the first `max`, the oldest first.
    async fn find(
        &self,
        scan: &mut Scan<'_>,
        id: Option<&str>,
        max: usize,
    ) -> Result<Vec<(Letter, Cause)>, CliError> {
        let mut found = Vec::new();
        let mut looked_at = 0;
        let look = self.look(scan, |_, letter, cause, is_meant| {
            if looked_at == max {
                return ControlFlow::Break(());
            }
            looked_at += 1;
            let is_it = id.is_some_and(|id| letter.id == id);
            if is_meant && (id.is_none() || is_it) {
                found.push((letter, cause));
            }
            if is_it { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        look.await?;
        found.sort_by_key(|(letter, _)| letter.sent_at);
        Ok(found)
    }

    pub(super) async fn list(&self, max: usize) -> Result<Told, CliError> {
        let mut scan = self.scan().await?;
        let found = self.find(&mut scan, None, max).await;
        let depth = scan.depth;
        let seen = scan.end().await;
        let (found, now, queue) = (found?, Clock::System.now(), self.filter.queue.name());
        let examined = seen.looked_at.min(max);
        let mut reasons: BTreeMap<&str, usize> = BTreeMap::new();
        for (_, cause) in &found {
            *reasons.entry(&cause.reason).or_default() += 1;
        }
        let json = json!({
            "queue": queue,
            "waiting": depth.waiting,
            "hidden": depth.hidden,
            "examined": examined,
            "reasons": reasons,
            "letters": found.iter().map(|(letter, cause)| to_json(letter, cause)).collect::<Vec<_>>(),
        });
        let text = if !found.is_empty() {
            let mut counts = Table::new(&["COUNT", "REASON"]);
            for (reason, count) in reasons {
                counts.row([count.to_string(), reason.to_owned()]);
            }
            format!("{}\n\n{counts}", table(&found, now))
        } else if !seen.is_complete() {
            format!("no such dead letters of {queue} among the {examined} that were looked at")
        } else if examined > 0 {
            format!("no such dead letters of {queue}")
        } else {
            format!("no dead letters of {queue}")
        };
        let cut = seen.looked_at > max;
        let told = seen.tell(Told::new(json, text));
        if cut {
            let total = depth.total();
            return Ok(told.note(format!("{max} of about {total} were looked at; --max raises that")));
        }
        Ok(told)
    }

    /// Shows the letter with this id, or all of the first `max`.
    pub(super) async fn show(&self, id: Option<&str>, max: usize) -> Result<Told, CliError> {
        let mut scan = self.scan().await?;
        let max = if id.is_some() { usize::MAX } else { max };
        let found = self.find(&mut scan, id, max).await;
        let seen = scan.end().await;
        let (found, now) = (found?, Clock::System.now());
        if found.is_empty() {
            let none = format!("there is no such dead letter of {}", self.filter.queue.name());
            if seen.is_complete() {
                return Err(CliError::NotFound(format!("{none}: `badgesmith dlq list` lists what there is")));
            }
            let examined = seen.looked_at.min(max);
            let why = seen.incomplete.unwrap_or_else(|| "--max raises that".to_owned());
            return Err(CliError::Failed(format!("{none} among the {examined} that were looked at; {why}")));
        }
        let letters: Vec<Value> = found.iter().map(|(letter, cause)| to_json(letter, cause)).collect();
        let texts: Vec<_> = found.iter().map(|(letter, cause)| text(letter, cause, now)).collect();
        let cut = seen.looked_at > max;
        let told = seen.tell(Told::new(json!({ "letters": letters }), texts.join("\n\n")));
        Ok(if cut { told.note(format!("{max} were looked at; --max raises that")) } else { told })
    }

    pub(super) async fn purge(&self, yes: bool) -> Result<Told, CliError> {
        let Filter { queue, .. } = self.filter;
        let (queue, which) = (queue.name(), self.filter.to_string());
        let total = self.dead.depth().await?.total();
        // Nothing is hidden while somebody thinks about it.
        let question = if self.filter.is_everything() {
            format!("Delete all dead letters of {queue}, about {total}, for good?")
        } else {
            format!("Delete the dead letters of {queue}{which}, of about {total}, for good?")
        };
        terminal::confirm(&question, yes)?;
        if self.filter.is_everything() {
            self.dead.purge().await?;
            let json = json!({ "queue": queue, "all": true, "about": total });
            let told = Told::new(json, format!("deleted all dead letters of {queue}, about {total}"));
            return Ok(told.note("It may take a minute until they are all gone."));
        }
        let mut scan = self.scan().await?;
        let mut meant = 0;
        let looked = self.look(&mut scan, |scan, letter, _, is_meant| {
            if is_meant {
                meant += 1;
                scan.delete(&letter);
            }
            ControlFlow::Continue(())
        });
        let looked = looked.await;
        let deleted = scan.deleted();
        let seen = scan.end().await;
        if let Err(failure) = looked {
            return Err(CliError::Failed(format!("{failure}; {deleted} were deleted before")));
        }
        let undeleted = meant - deleted;
        let json = json!({ "queue": queue, "all": false, "deleted": deleted, "undeleted": undeleted });
        let mut told = Told::new(json, format!("deleted {deleted} dead letters of {queue}{which}"));
        if undeleted > 0 {
            told.failed = true;
            told = told.note(format!(
                "{undeleted} were not deleted, or so late that they may be there still: run it again, with a longer --hide"
            ));
        }
        Ok(seen.tell(told))
    }
}

fn table(letters: &[(Letter, Cause)], now: Timestamp) -> Table {
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

/// A letter as a whole, for people. What strangers wrote does not begin a line, where GitHub's runner would take it for
/// a command, blanks before it or not.
fn text(letter: &Letter, cause: &Cause, now: Timestamp) -> String {
    let parsed: Option<Value> = serde_json::from_str(&letter.body).ok();
    let body = parsed.and_then(|body| serde_json::to_string_pretty(&body).ok());
    let mut lines = vec![
        format!("id        {}", letter.id),
        format!("reason    {}", cause.reason.replace('\n', " ")),
        format!("sent      {}, {} ago", letter.sent_at, age(letter.sent_at, now)),
    ];
    lines.extend(letter.failed_at.map(|at| format!("failed    {at}, {} ago", age(at, now))));
    lines.push(format!("received  {} times, with this one", letter.receives));
    lines.extend(body.as_ref().unwrap_or(&letter.body).lines().map(|line| format!("  | {line}")));
    terminal::printable(&lines.join("\n"))
}
