//! `dlq replay`: sends messages to their source queue, and then deletes them.

use std::collections::HashMap;
use std::fmt;
use std::time::Duration;

use badgesmith_aws::sqs::{Queue, ReceivedMessage};
use badgesmith_domain::signature::Digest;
use serde::Serialize;
use tokio::time::{Instant, sleep_until};

use super::dead_letter::DeadLetter;
use super::scan::{Scan, ScanSummary};
use super::selection::Selection;
use crate::error::CliError;
use crate::output::Output;
use crate::quantity::quantity;

#[derive(Debug)]
pub(super) struct Replay<'a> {
    pub(super) queue: &'a Queue,
    pub(super) source: &'a Queue,
    pub(super) selection: &'a Selection,
    /// Messages per second; 0 for no limit.
    pub(super) rate: u32,
    pub(super) dry_run: bool,
}

#[derive(Debug, Default, Serialize)]
struct Replayed {
    dry_run: bool,
    moved: usize,
    /// Messages with the same body as another message of the replay. They stay in the queue.
    returned: usize,
    /// Messages that the source queue rejected.
    refused: usize,
    #[serde(skip)]
    refusal: Option<String>,
    #[serde(flatten)]
    summary: ScanSummary,
}

impl Replay<'_> {
    pub(super) async fn run(&self) -> Result<Output, CliError> {
        let mut scan = Scan::begin(self.queue, self.selection).await?;
        let mut replayed = Replayed { dry_run: self.dry_run, ..Replayed::default() };
        let result = self.move_all(&mut scan, &mut replayed).await;
        replayed.summary = scan.finish().await;
        if let Err(error) = result {
            let moved = quantity(replayed.moved, "message");
            return Err(CliError::Failed(format!(
                "{error}; moved {moved} before the error; run the command again"
            )));
        }
        let output = replayed.summary.output(&replayed).failed_if(replayed.refused > 0);
        Ok(output.notes(replayed.notes()))
    }

    async fn move_all(&self, scan: &mut Scan<'_>, replayed: &mut Replayed) -> Result<(), CliError> {
        let max = if self.rate == 0 { Queue::BATCH } else { Queue::BATCH.min(self.rate as usize) };
        let interval =
            Duration::from_secs(1).checked_div(self.rate).filter(|_| !self.dry_run).unwrap_or_default();
        // The ids of messages that the source queue accepted, by body. A message that fails again returns with the
        // same body and another id. A message that was not deleted in time is received again with the same id.
        let mut sent: HashMap<_, String> = HashMap::new();
        let mut next_send = Instant::now();
        loop {
            sleep_until(next_send).await;
            let Some(dead_letters) = scan.next(max).await? else { return Ok(()) };
            let (mut unsent, mut delete) = (Vec::<ReceivedMessage>::new(), Vec::new());
            for DeadLetter { message, .. } in dead_letters {
                match sent.get(&Digest::of(message.body.as_bytes())) {
                    Some(id) if *id == message.id => delete.push(message),
                    None if unsent.iter().all(|other| other.body != message.body) => unsent.push(message),
                    Some(_) | None => {
                        replayed.returned += 1;
                        scan.hold(&message);
                    }
                }
            }
            let count = u32::try_from(unsent.len()).unwrap_or(u32::MAX);
            let accepted = if self.dry_run { unsent } else { self.send(unsent, scan, replayed).await? };
            next_send = Instant::now() + interval * count;
            replayed.moved += accepted.len();
            for message in accepted {
                sent.insert(Digest::of(message.body.as_bytes()), message.id.clone());
                if self.dry_run { scan.hold(&message) } else { delete.push(message) }
            }
            scan.delete(&delete).await?;
        }
    }

    /// Sends messages, and returns those that the source queue has accepted.
    async fn send(
        &self,
        messages: Vec<ReceivedMessage>,
        scan: &mut Scan<'_>,
        replayed: &mut Replayed,
    ) -> Result<Vec<ReceivedMessage>, CliError> {
        let outcome = self.source.redrive(&messages).await?;
        let (accepted, refused): (Vec<_>, Vec<_>) =
            messages.into_iter().partition(|message| outcome.succeeded.contains(&message.id));
        for message in &refused {
            scan.hold(message);
        }
        replayed.refused += refused.len();
        replayed.refusal = replayed.refusal.take().or(outcome.error);
        Ok(accepted)
    }
}

impl Replayed {
    fn notes(&self) -> Vec<String> {
        let Self { returned, refused, refusal, summary, .. } = self;
        let returned = (*returned > 0).then(|| {
            format!(
                "left {} with the same body as a moved message: it failed again, was in the queue twice, or an \
                 earlier replay was interrupted. `{}` shows the reasons; purge messages that can never succeed.",
                quantity(*returned, "message"),
                summary.queue.list_command()
            )
        });
        let refusal = refusal
            .as_ref()
            .map(|error| format!("left {} that the queue rejected: {error}", quantity(*refused, "message")));
        let undeleted = (summary.undeleted > 0)
            .then(|| "a message that was not deleted may be moved again, which does no harm".to_owned());
        returned.into_iter().chain(refusal).chain(undeleted).collect()
    }
}

impl fmt::Display for Replayed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { dry_run, moved, summary: ScanSummary { queue, skipped, .. }, .. } = self;
        let verb = if *dry_run { "would move" } else { "moved" };
        write!(f, "{verb} {} to {}", quantity(*moved, "message"), queue.source().name())?;
        if *skipped > 0 { write!(f, ", skipped {skipped}") } else { Ok(()) }
    }
}
