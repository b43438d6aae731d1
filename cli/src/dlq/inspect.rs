//! `dlq list` and `dlq show`.

use std::collections::BTreeMap;
use std::fmt;

use badgesmith_aws::clock::Clock;
use badgesmith_aws::sqs::Queue;
use badgesmith_domain::timestamp::Timestamp;
use serde::Serialize;

use super::dead_letter::DeadLetter;
use super::scan::{Scan, ScanSummary};
use super::selection::Selection;
use crate::duration::age;
use crate::error::CliError;
use crate::output::Output;
use crate::table::Table;

/// A longer reason is truncated in a table.
const REASON_CHARACTERS_MAX: usize = 80;

#[derive(Debug)]
pub(super) struct Inspector<'a> {
    pub(super) queue: &'a Queue,
    pub(super) selection: &'a Selection,
    /// The maximum number of messages to examine; ignored with an id.
    pub(super) max: usize,
}

#[derive(Debug, Serialize)]
struct Inspection {
    /// How often each reason occurs.
    reasons: BTreeMap<String, usize>,
    /// Oldest first.
    messages: Vec<DeadLetter>,
    #[serde(flatten)]
    summary: ScanSummary,
    /// Whether the text includes the bodies.
    #[serde(skip)]
    bodies: bool,
    #[serde(skip)]
    now: Timestamp,
}

impl Inspector<'_> {
    pub(super) async fn list(&self) -> Result<Output, CliError> {
        let list = self.inspect(None, false).await?;
        Ok(list.summary.output(&list))
    }

    /// Shows the message with this id, or all messages that the filter selects.
    pub(super) async fn show(&self, id: Option<&str>) -> Result<Output, CliError> {
        let shown = self.inspect(id, true).await?;
        match shown.messages.as_slice() {
            [] if shown.summary.complete && shown.summary.examined == 0 => {
                Err(CliError::NotFound(shown.to_string()))
            }
            [] if shown.summary.complete => {
                let command = shown.summary.queue.list_command();
                Err(CliError::NotFound(format!("{shown}; `{command}` lists the messages")))
            }
            [] => Err(CliError::Failed(format!("{shown}; {}", shown.summary.notes.join("; ")))),
            _ => Ok(shown.summary.output(&shown)),
        }
    }

    async fn inspect(&self, id: Option<&str>, bodies: bool) -> Result<Inspection, CliError> {
        let mut scan = Scan::begin(self.queue, self.selection).await?;
        let found = self.find(&mut scan, id).await;
        let mut summary = scan.finish().await;
        let mut messages = found?;
        if !summary.complete && !summary.failed && id.is_none() {
            summary.notes.push(format!("{}; raise --max", summary.not_examined()));
        }
        messages.sort_by_key(|dead_letter| dead_letter.message.sent_at);
        let mut reasons = BTreeMap::new();
        for dead_letter in &messages {
            *reasons.entry(dead_letter.reason.clone()).or_default() += 1;
        }
        Ok(Inspection { reasons, messages, summary, bodies, now: Clock::System.now() })
    }

    async fn find(&self, scan: &mut Scan<'_>, id: Option<&str>) -> Result<Vec<DeadLetter>, CliError> {
        let max = if id.is_some() { usize::MAX } else { self.max };
        let mut found = Vec::new();
        while scan.summary.examined < max
            && (id.is_none() || found.is_empty())
            && let Some(dead_letters) = scan.next(max - scan.summary.examined).await?
        {
            for dead_letter in dead_letters {
                scan.hold(&dead_letter.message);
                if id.is_none_or(|id| dead_letter.message.id == id) {
                    found.push(dead_letter);
                }
            }
        }
        Ok(found)
    }
}

impl fmt::Display for Inspection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { reasons, messages, summary: ScanSummary { queue, examined, complete, .. }, .. } = self;
        match messages.as_slice() {
            [] if *complete && *examined == 0 => return write!(f, "the {queue} dead-letter queue is empty"),
            [] => {
                return write!(
                    f,
                    "no matching messages among the {examined} examined in the {queue} dead-letter queue"
                );
            }
            _ if self.bodies => {
                let texts: Vec<_> =
                    messages.iter().map(|dead_letter| dead_letter.details(self.now)).collect();
                return f.write_str(&texts.join("\n\n"));
            }
            _ => {}
        }
        let mut table = Table::new(&["AGE", "SUBJECT", "REASON", "ID"]);
        for DeadLetter { subject, reason, message } in messages {
            let subject = subject.clone().unwrap_or_else(|| "?".to_owned());
            let reason = match reason.char_indices().nth(REASON_CHARACTERS_MAX) {
                Some((end, _)) => format!("{}...", reason.get(..end).unwrap_or(reason)),
                None => reason.clone(),
            };
            table.row([age(message.sent_at, self.now), subject, reason, message.id.clone()]);
        }
        let mut counts = Table::new(&["COUNT", "REASON"]);
        for (reason, count) in reasons {
            counts.row([count.to_string(), reason.clone()]);
        }
        write!(f, "{table}\n\n{counts}")
    }
}
