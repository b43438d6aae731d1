//! One pass over the dead letters of a queue: each is taken, somebody decides, it is deleted or held, and what is held
//! is put back at the end. Only ids and the last receipt handles are kept.
//!
//! SQS gives messages out in no order, so each that stays must be hidden until all were seen: it is hidden again before
//! its time is over, each time for as long as the pass has taken so far, so that the effort stays in proportion. What
//! shows again all the same, since a call took long, is recognised and held, or deleted, by its new handle.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use badgesmith_aws::sdk::AwsError;
use badgesmith_aws::sqs::{Depth, Handle, Letter, Queue};
use serde_json::Value;
use tokio::time::{Instant, sleep_until, timeout};

use crate::duration::format_duration;
use crate::error::CliError;
use crate::terminal;
use crate::told::Told;

/// How long SQS is waited for when it has nothing at hand: without waiting it asks some of its machines only.
const WAIT: Duration = Duration::from_secs(1);
/// When nothing came so many times in a row, although the counts say that there is more, nothing more will.
const EMPTIES_MAX: usize = 3;
/// SQS hides 120,000 messages of a queue at once. Some are left to others.
const HELD_MAX: usize = 100_000;
/// When letters come so often each, hiding them does not work.
const REPEATS_MAX: usize = 5;
/// The longest that SQS hides a message for.
const HIDE_MAX: Duration = Duration::from_hours(12);
/// What is put back between two looks at whether somebody wants it to end.
const CHUNK: usize = 10 * Queue::BATCH;
/// How long putting back may take when somebody wants it to end.
const PATIENCE: Duration = Duration::from_secs(3);

/// A letter that was taken.
#[derive(Debug)]
struct Hold {
    /// The last one.
    handle: Handle,
    /// It is hidden until then, or a little longer.
    until: Instant,
}

/// A pass that goes on.
#[derive(Debug)]
pub(super) struct Scan<'a> {
    dead: &'a Queue,
    hide: Duration,
    begun: Instant,
    interrupted: Arc<AtomicBool>,
    /// How many there were when it began.
    pub(super) depth: Depth,
    /// How many were seen.
    pub(super) seen: usize,
    /// How many of these were sent after it had begun.
    arrived: usize,
    /// How often letters came again.
    repeats: usize,
    /// When the last ones were asked for.
    asked: Instant,
    /// When the held ones are to be hidden again.
    hide_at: Instant,
    held: HashMap<String, Hold>,
    /// To be deleted while the next ones are waited for; no more than were taken at once.
    deleting: Vec<(String, Hold)>,
    /// Deleted while they were hidden from everybody else.
    deleted: HashSet<String>,
    /// Deleted later than that: if somebody else has them, they are still there.
    unsure: HashSet<String>,
    ending: Ending,
}

/// Why a pass ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ending {
    /// Nobody wanted more.
    Stopped,
    /// No more came, and so many are missing.
    Empty { missing: u64 },
    /// No more can be held.
    Full,
    /// What is hidden comes again.
    Repeating,
    /// Somebody pressed Ctrl-C.
    Interrupted,
}

impl<'a> Scan<'a> {
    /// Begins a pass. From now on the first Ctrl-C ends it between two calls, and the second the process.
    pub(super) async fn begin(dead: &'a Queue, hide: Duration) -> Result<Self, CliError> {
        let begun = Instant::now();
        let interrupted = Arc::new(AtomicBool::new(false));
        let heard = Arc::clone(&interrupted);
        // Without a runtime for that, it ends at once.
        tokio::spawn(async move {
            if tokio::signal::ctrl_c().await.is_ok() {
                heard.store(true, Ordering::SeqCst);
                terminal::note("ending; once more ends it at once");
            }
            if tokio::signal::ctrl_c().await.is_ok() {
                std::process::exit(130);
            }
        });
        Ok(Self {
            dead,
            hide,
            begun,
            interrupted,
            depth: dead.depth().await?,
            seen: 0,
            arrived: 0,
            repeats: 0,
            asked: begun,
            hide_at: begun,
            held: HashMap::new(),
            deleting: Vec::new(),
            deleted: HashSet::new(),
            unsure: HashSet::new(),
            ending: Ending::Stopped,
        })
    }

    /// Up to `most` letters that were not seen before, not before that time; `None` when it is over. They are held.
    pub(super) async fn next(
        &mut self,
        most: usize,
        not_before: Instant,
    ) -> Result<Option<Vec<Letter>>, CliError> {
        let mut empties = 0;
        loop {
            self.ending = if self.is_interrupted() {
                Ending::Interrupted
            } else if self.held.len() >= HELD_MAX {
                Ending::Full
            } else if self.repeats > REPEATS_MAX * (self.seen + Queue::BATCH) {
                Ending::Repeating
            } else {
                Ending::Stopped
            };
            if self.ending != Ending::Stopped {
                self.take(0, not_before).await?;
                return Ok(None);
            }
            self.hide_again().await?;
            let Some(letters) = self.take(most, not_before).await? else {
                empties += 1;
                let missing = self.missing().await?;
                if missing == 0 || empties == EMPTIES_MAX {
                    self.ending = Ending::Empty { missing };
                    return Ok(None);
                }
                continue;
            };
            empties = 0;
            if !letters.is_empty() {
                return Ok(Some(letters));
            }
        }
    }

    /// Whether a letter was sent after this had begun. A machine's clock may be wrong, so this is told by how long
    /// SQS had it, and that by SQS's own clock. A letter that somebody has received before is taken for an old one.
    pub(super) fn is_new(&self, letter: &Letter) -> bool {
        letter.waited.is_some_and(|waited| waited <= self.asked - self.begun)
    }

    /// Has a letter of the last ones deleted, at once.
    pub(super) fn delete(&mut self, letter: &Letter) {
        self.deleting.extend(self.held.remove_entry(&letter.id));
    }

    /// How many letters are deleted, for certain.
    pub(super) fn deleted(&self) -> usize {
        self.deleted.len()
    }

    /// Takes letters and deletes what is to be; those that were not seen before, or `None` when there are none.
    async fn take(&mut self, most: usize, not_before: Instant) -> Result<Option<Vec<Letter>>, CliError> {
        let deleting = std::mem::take(&mut self.deleting);
        let handles: Vec<_> = deleting.iter().map(|(_, hold)| hold.handle.clone()).collect();
        let take = async {
            if most == 0 {
                return Ok(Vec::new());
            }
            sleep_until(not_before).await;
            self.asked = Instant::now();
            self.dead.take(most, self.hide, WAIT).await
        };
        let delete = async { (self.dead.delete(&handles).await, Instant::now()) };
        let (taken, (refused, at)) = tokio::join!(take, delete);
        let is_deleted = self.settle(deleting, refused, at);
        let mut letters = taken?;
        let none = letters.is_empty();
        // What was so long on its way that it shows again already is not touched: it comes again.
        if Instant::now() >= self.asked + self.hide {
            self.repeats += letters.len();
            letters.clear();
        }
        let new = letters.into_iter().filter(|letter| self.hold(letter)).collect();
        is_deleted?;
        Ok(Some(new).filter(|_| !none))
    }

    /// Notes what came of deleting, which was answered then.
    fn settle(
        &mut self,
        deleting: Vec<(String, Hold)>,
        refused: Result<Vec<usize>, AwsError>,
        at: Instant,
    ) -> Result<(), AwsError> {
        for (position, (id, hold)) in deleting.into_iter().enumerate() {
            match &refused {
                Ok(refused) if refused.contains(&position) => {
                    self.held.insert(id, hold);
                }
                Ok(_) if at < hold.until => {
                    self.deleted.insert(id);
                }
                Ok(_) | Err(_) => {
                    self.unsure.insert(id);
                }
            }
        }
        refused.map(|_| ())
    }

    /// Holds a letter that has come; whether it came for the first time. One that was deleted was not, and is again.
    fn hold(&mut self, letter: &Letter) -> bool {
        let hold = Hold { handle: letter.handle.clone(), until: self.asked + self.hide };
        let id = letter.id.clone();
        if self.deleted.remove(&id) || self.unsure.remove(&id) {
            self.deleting.push((id, hold));
        } else if self.held.insert(id, hold).is_none() {
            self.seen += 1;
            self.arrived += usize::from(self.is_new(letter));
            return true;
        }
        self.repeats += 1;
        false
    }

    /// Hides what is held for longer, when it is time.
    async fn hide_again(&mut self) -> Result<(), CliError> {
        let now = Instant::now();
        if now < self.hide_at {
            return Ok(());
        }
        let hide = self.hide.max(now - self.begun).min(HIDE_MAX);
        let due: Vec<_> = self.held.values_mut().filter(|hold| hold.until < now + hide / 2).collect();
        let handles: Vec<_> = due.iter().map(|hold| hold.handle.clone()).collect();
        for hold in due {
            hold.until = now + hide;
        }
        for chunk in handles.chunks(CHUNK) {
            if !self.is_interrupted() {
                self.dead.hide(chunk, hide).await?;
            }
        }
        // Those that come meanwhile are hidden for no longer than they were taken for.
        self.hide_at = now + self.hide / 4;
        Ok(())
    }

    /// How many should have come and have not. All counts lag behind, by a minute at most: so that is missing what
    /// was there at the beginning and was not seen, unless it is no longer there.
    async fn missing(&self) -> Result<u64, CliError> {
        let count = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
        let unseen = self.depth.total().saturating_sub(count(self.seen - self.arrived));
        if unseen == 0 {
            return Ok(0);
        }
        Ok(unseen.min(self.dead.depth().await?.total().saturating_sub(count(self.held.len()))))
    }

    fn is_interrupted(&self) -> bool {
        self.interrupted.load(Ordering::SeqCst)
    }

    /// Puts back what is held, and tells how the pass went.
    pub(super) async fn end(self) -> Seen {
        let began = Instant::now();
        let hidden: Vec<_> = self.held.values().filter(|hold| hold.until > began).collect();
        let longest = hidden.iter().map(|hold| hold.until - began).max().unwrap_or_default();
        let handles: Vec<_> = hidden.iter().map(|hold| hold.handle.clone()).collect();
        let mut left = handles.len();
        let mut why = String::new();
        for chunk in handles.chunks(CHUNK) {
            let patience =
                if self.is_interrupted() { PATIENCE.checked_sub(began.elapsed()) } else { Some(HIDE_MAX) };
            let Some(patience) = patience else { break };
            match timeout(patience, self.dead.hide(chunk, Duration::ZERO)).await {
                Ok(Ok(())) => left -= chunk.len(),
                Ok(Err(error)) => {
                    why = format!(": {}", CliError::from(error));
                    break;
                }
                Err(_) => break,
            }
        }
        let mut notes = Vec::new();
        if left > 0 {
            notes.push(format!(
                "{left} stay hidden from everybody for up to {}{why}",
                format_duration(longest)
            ));
        }
        let again = format_duration(self.hide.max(Duration::from_mins(1)));
        let incomplete = match self.ending {
            Ending::Stopped | Ending::Empty { missing: 0 } => None,
            Ending::Empty { missing } => Some(format!(
                "about {missing} did not show. Somebody has received them, perhaps a command that was killed, or SQS \
                 hides no more at once, or its counts are old: run it again in {again}"
            )),
            Ending::Full => Some(format!("not all were looked at: no more than {HELD_MAX} can be at a time")),
            Ending::Repeating => Some(
                "not all were looked at: they come again and again; give --hide a longer time".to_owned(),
            ),
            Ending::Interrupted => Some("interrupted, nothing is lost: run it again for the rest".to_owned()),
        };
        notes.extend(incomplete.clone());
        Seen { ending: self.ending, looked_at: self.seen, incomplete, notes }
    }
}

/// How a pass went.
#[derive(Debug)]
pub(super) struct Seen {
    ending: Ending,
    pub(super) looked_at: usize,
    /// Why not all were looked at, unless nobody wanted that.
    pub(super) incomplete: Option<String>,
    notes: Vec<String>,
}

impl Seen {
    /// Whether all were looked at.
    pub(super) fn is_complete(&self) -> bool {
        self.ending == Ending::Empty { missing: 0 }
    }

    /// Says in `told` whether it is about all of them, and what else is to be known.
    pub(super) fn tell(self, mut told: Told) -> Told {
        let missing = if let Ending::Empty { missing } = self.ending { Some(missing) } else { None };
        let complete = self.is_complete();
        if let Value::Object(json) = &mut told.json {
            json.insert("complete".to_owned(), complete.into());
            json.insert("missing".to_owned(), missing.into());
            json.insert("interrupted".to_owned(), (self.ending == Ending::Interrupted).into());
        }
        told.failed |= self.incomplete.is_some();
        told.notes.extend(self.notes);
        told
    }
}
