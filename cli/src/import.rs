//! `badgesmith import`: imports the test results of the .NET service.

mod conversion;
mod export;
mod summary;

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};
use std::time::Duration;

use badgesmith_aws::clock::Clock;
use badgesmith_aws::sqs::Queue;
use badgesmith_domain::ids::{Branch, Repository};
use badgesmith_domain::message::ResultMessage;
use clap::Args;
use tokio::sync::mpsc;
use tokio::task::spawn_blocking;

use self::conversion::{BranchNames, Conversion};
use self::export::Item;
use self::summary::{Effect, ImportedResults};
use crate::error::CliError;
use crate::help;
use crate::output::Output;
use crate::quantity::quantity;
use crate::stack::{Resource, Target};
use crate::terminal::Progress;

/// The most items that are read ahead of sending.
const ITEMS_MAX: usize = 100;
/// The most attempts to send a message.
const SEND_ATTEMPTS: u32 = 5;
/// The longest wait before the second attempt. It doubles before each further one.
const SEND_BACKOFF: Duration = Duration::from_millis(200);

const EXAMPLES: &str = "  Export the table of the .NET service, and see what would be imported:
    aws dynamodb scan --table-name badge-test-results --output json > results.json
    badgesmith import results.json --dry-run --stack badgesmith

  Import the results, and restore the case of a branch:
    badgesmith import results.json --branch Feature/Login --stack badgesmith

  Import them without a file:
    aws dynamodb scan --table-name badge-test-results --output json |
      badgesmith import - --stack badgesmith";

#[derive(Debug, Args)]
#[command(after_long_help = help::with_examples(EXAMPLES))]
pub(crate) struct Options {
    /// Output of `aws dynamodb scan` for the table of the .NET service, or `-` for stdin
    #[arg(value_name = "FILE")]
    export: PathBuf,
    /// Repository to import [default: all repositories]
    #[arg(long, value_name = "OWNER/REPO")]
    repo: Option<Repository>,
    /// Original case of a branch, which the export has in lower case; repeatable
    #[arg(long = "branch", value_name = "BRANCH")]
    branches: Vec<Branch>,
    /// Show what would be sent, without sending it
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    pub(crate) target: Target,
}

impl Options {
    pub(crate) async fn run(&self) -> Result<Output, CliError> {
        let branches = BranchNames::new(&self.branches).map_err(|(one, other)| {
            let advice = "name each branch only once";
            CliError::Usage(format!("--branch: {one} and {other} differ only in case; {advice}"))
        })?;
        let export = open(&self.export)?;
        let stack = self.target.find().await?;
        let mut import = Import {
            options: self,
            queue: stack.queue(Resource::ResultsQueue)?,
            branches,
            batch: Vec::new(),
            sent: HashMap::new(),
            summary: ImportedResults::new(self.dry_run),
            progress: Progress::new(),
        };
        let imported = import.run(export).await;
        let Import { mut summary, sent, progress, .. } = import;
        drop(progress);
        imported.map_err(|error| summary.explain(error))?;
        summary.check_branches(&self.branches);
        let unchecked = summary.check_registrations(&stack.registrations()?, sent).await.err().map(|error| {
            let error = CliError::from(error);
            format!("failed to check which repositories are registered: {error}")
        });
        let failed = summary.is_partial() || unchecked.is_some();
        Ok(Output::new(&summary).notes(summary.notes()).notes(unchecked).failed_if(failed))
    }
}

/// An import in progress.
struct Import<'a> {
    options: &'a Options,
    queue: Queue,
    branches: BranchNames,
    /// Results to send, at most [`Queue::BATCH`].
    batch: Vec<ResultMessage>,
    /// The number of results sent for each repository.
    sent: HashMap<Repository, usize>,
    summary: ImportedResults,
    progress: Progress,
}

impl Import<'_> {
    async fn run(&mut self, export: Box<dyn Read + Send>) -> Result<(), CliError> {
        let (sender, mut items) = mpsc::channel(ITEMS_MAX);
        let reader = spawn_blocking(move || export::read(export, |item| sender.blocking_send(item).is_ok()));
        while let Some(item) = items.recv().await {
            self.add(&item)?;
            if self.batch.len() == Queue::BATCH {
                self.send().await?;
            }
        }
        self.send().await?;
        let read =
            reader.await.map_err(|error| CliError::Failed(format!("failed to read the export: {error}")))?;
        self.summary.is_complete = read.map_err(|error| {
            let path = self.options.export.display();
            let expected = "expected the output of `aws dynamodb scan --output json`";
            CliError::Failed(format!("failed to read the export {path}: {error}; {expected}"))
        })?;
        Ok(())
    }

    /// Adds the result of an item to the batch.
    fn add(&mut self, item: &Item) -> Result<(), CliError> {
        if conversion::is_of_this_service(item) {
            let key = conversion::key_of(item);
            let advice = "export the table of the .NET service instead";
            return Err(CliError::Failed(format!(
                "the export comes from a table of this service: it contains the item {key}; {advice}"
            )));
        }
        if self.options.repo.as_ref().is_some_and(|repository| !conversion::belongs_to(item, repository)) {
            return Ok(());
        }
        match conversion::convert(item, &self.branches, Clock::System.now()) {
            Conversion::Result(result, dropped) => {
                self.summary.add_problems(Effect::Dropped, &dropped, item);
                // SQS rejects a batch with an id twice, and importing a result again would change nothing.
                if self.batch.iter().all(|message| message.result.id != result.id) {
                    self.batch.push(ResultMessage::new(*result));
                }
            }
            Conversion::Invalid(problems) => self.summary.add_problems(Effect::Skipped, &problems, item),
            Conversion::Expired => self.summary.expired += 1,
        }
        Ok(())
    }

    /// Sends the batch, and retries the results that the queue rejects.
    async fn send(&mut self) -> Result<(), CliError> {
        let mut backoff = SEND_BACKOFF;
        let mut attempts = 0;
        while !self.batch.is_empty() {
            let error = self.send_once().await?;
            attempts += 1;
            if let Some(error) = error.filter(|_| attempts == SEND_ATTEMPTS) {
                let rejected = quantity(self.batch.len(), "result");
                return Err(CliError::Failed(format!("the queue rejected {rejected}: {error}")));
            }
            if !self.batch.is_empty() {
                tokio::time::sleep(backoff.mul_f64(fastrand::f64())).await;
                backoff *= 2;
            }
        }
        self.progress.show(&self.summary.headline());
        Ok(())
    }

    /// Sends the batch once. The results that the queue rejects stay in it. Returns why the first one was rejected.
    async fn send_once(&mut self) -> Result<Option<String>, CliError> {
        let batch = std::mem::take(&mut self.batch);
        let outcome = if self.options.dry_run { None } else { Some(self.queue.send_results(&batch).await?) };
        for message in batch {
            let id = message.result.id.to_string();
            if outcome.as_ref().is_none_or(|outcome| outcome.succeeded.contains(&id)) {
                let run = message.result.run;
                self.summary.add_result(&run.branch);
                *self.sent.entry(run.repository).or_default() += 1;
            } else {
                self.batch.push(message);
            }
        }
        let error = outcome.and_then(|outcome| outcome.error);
        Ok(if self.batch.is_empty() {
            None
        } else {
            Some(error.unwrap_or_else(|| "no reason given".to_owned()))
        })
    }
}

fn open(path: &Path) -> Result<Box<dyn Read + Send>, CliError> {
    if path == Path::new("-") {
        return Ok(Box::new(BufReader::new(io::stdin())));
    }
    let file = File::open(path)
        .map_err(|error| CliError::Usage(format!("failed to read {}: {error}", path.display())))?;
    Ok(Box::new(BufReader::new(file)))
}
