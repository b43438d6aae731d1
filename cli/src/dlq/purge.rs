//! `dlq purge`.

use std::fmt;

use badgesmith_aws::sqs::Queue;
use serde::Serialize;

use super::scan::{Scan, ScanSummary};
use super::selection::Selection;
use crate::error::CliError;
use crate::output::Output;
use crate::quantity::quantity;
use crate::terminal;

#[derive(Debug, Serialize)]
struct Purged {
    all: bool,
    /// Approximate if all messages were deleted.
    deleted: u64,
    #[serde(flatten)]
    summary: ScanSummary,
    #[serde(skip)]
    filter: String,
}

pub(super) async fn purge(queue: &Queue, selection: &Selection, yes: bool) -> Result<Output, CliError> {
    let mut scan = Scan::begin(queue, selection).await?;
    let Selection { queue: name, filter, .. } = selection;
    let (all, about) = (filter.matches_all(), scan.summary.depth.total());
    let from = format!("from the {name} dead-letter queue (about {about} in total)");
    let question = if all {
        format!("Permanently delete all messages {from}?")
    } else {
        format!("Permanently delete messages{filter} {from}?")
    };
    terminal::confirm(&question, yes)?;
    let mut deleted = 0;
    let result = if all {
        queue.purge().await.map_err(CliError::from)
    } else {
        delete_selected(&mut scan, &mut deleted).await
    };
    let mut summary = scan.finish().await;
    if let Err(error) = result {
        let deleted = quantity(deleted, "message");
        return Err(CliError::Failed(format!("{error}; deleted {deleted} before the error")));
    }
    if all {
        deleted = about;
        (summary.missing, summary.complete) = (0, true);
    }
    let purged = Purged { all, deleted, summary, filter: filter.to_string() };
    let output = purged.summary.output(&purged);
    Ok(if all { output.note("SQS takes up to a minute to delete them.") } else { output })
}

async fn delete_selected(scan: &mut Scan<'_>, deleted: &mut u64) -> Result<(), CliError> {
    while let Some(dead_letters) = scan.next(Queue::BATCH).await? {
        let messages: Vec<_> = dead_letters.into_iter().map(|dead_letter| dead_letter.message).collect();
        *deleted += scan.delete(&messages).await? as u64;
    }
    Ok(())
}

impl fmt::Display for Purged {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { all, deleted, filter, summary: ScanSummary { queue, .. } } = self;
        let about = if *all { "about " } else { "" };
        let messages = quantity(*deleted, "message");
        write!(f, "deleted {about}{messages}{filter} from the {queue} dead-letter queue")
    }
}
