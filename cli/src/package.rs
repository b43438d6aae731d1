//! `badgesmith package`: the packages that are kept up to date.
//!
//! Only the refresher writes packages. These commands therefore publish the same event as badge-api, and then poll the
//! table until the refresher has handled it.

mod output;

use std::time::{Duration, Instant};

use badgesmith_aws::clock::Clock;
use badgesmith_aws::dynamodb::{DuePackage, Packages};
use badgesmith_domain::key::DueShard;
use badgesmith_domain::package::Package;
use badgesmith_domain::package_record::{PackageRecord, PackageState};
use badgesmith_domain::package_request::{PackageRequest, Reason};
use badgesmith_domain::timestamp::Timestamp;
use clap::{Args, Subcommand};
use tokio::task::JoinSet;

use self::output::{PackageDescription, PackageList, PackageStatus, RemovedPackage};
use crate::duration::format_duration;
use crate::error::CliError;
use crate::help;
use crate::output::Output;
use crate::stack::{Stack, Target};
use crate::terminal::Progress;

/// The time between two reads of the table.
const POLL_INTERVAL: Duration = Duration::from_millis(250);
const CONCURRENT_READS: usize = 32;
/// A package that was never confirmed is due within this time, and deleted after a day.
const UNCONFIRMED_DUE_WITHIN: Duration = Duration::from_hours(1);

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Look up a package and keep it up to date, before its badge is first read
    ///
    /// A package whose badge is not read for 30 days is no longer kept up to date. Adding it again restarts the 30
    /// days.
    #[command(after_long_help = help::with_examples(ADD))]
    Add(PackageArgs),
    /// Stop keeping a package up to date
    ///
    /// The versions of a package that has its own token are deleted. Those of a public package are kept for 90 days. The
    /// next read of the badge adds the package again; to prevent that for a GitHub package, use `badgesmith token
    /// delete`.
    #[command(after_long_help = help::with_examples(REMOVE))]
    Remove(PackageArgs),
    /// List the packages that are kept up to date, with their latest versions
    #[command(after_long_help = help::with_examples(LIST))]
    List(Target),
    /// Look up a package now, even if it is not due
    #[command(after_long_help = help::with_examples(REFRESH))]
    Refresh(PackageArgs),
}

const ADD: &str = "    badgesmith package add nuget/Newtonsoft.Json --stack badgesmith
    badgesmith package add github/acme/Acme.Kit --stack badgesmith --timeout 120";

const REMOVE: &str = "    badgesmith package remove nuget/Newtonsoft.Json --stack badgesmith";

const LIST: &str = "    badgesmith package list --stack badgesmith
    badgesmith package list --stack badgesmith --json |
      jq -r '.packages[] | select(.failures > 0).package'";

const REFRESH: &str = "    badgesmith package refresh nuget/Newtonsoft.Json --stack badgesmith";

#[derive(Debug, Args)]
pub(crate) struct PackageArgs {
    /// Package, as nuget/PACKAGE, nuget/FEED/PACKAGE, github/ORG/PACKAGE, github-npm/ORG/PACKAGE or
    /// github-container/ORG/PACKAGE
    #[arg(value_name = "PACKAGE")]
    package: Package,
    /// Maximum time to wait for the refresher, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    timeout: u64,
    #[command(flatten)]
    target: Target,
}

impl Command {
    pub(crate) fn target(&self) -> &Target {
        match self {
            Self::Add(args) | Self::Remove(args) | Self::Refresh(args) => &args.target,
            Self::List(target) => target,
        }
    }

    pub(crate) async fn run(&self) -> Result<Output, CliError> {
        let stack = self.target().find().await?;
        match self {
            Self::Add(args) => args.add(&stack).await,
            Self::Remove(args) => args.remove(&stack).await,
            Self::Refresh(args) => args.refresh(&stack).await,
            Self::List(_) => list(&stack.packages()?).await,
        }
    }
}

impl PackageArgs {
    async fn add(&self, stack: &Stack) -> Result<Output, CliError> {
        let now = Clock::System.now();
        match self.find(stack).await? {
            Some(record) if record.is_scheduled() && record.refresh_after > now => {
                self.request(stack, Reason::StillRead, now).await?;
                let package = PackageDescription::new(self.package.clone(), &record);
                Ok(Output::new(&PackageStatus { package, status: "is already kept up to date" }))
            }
            before => self.look_up(stack, before).await,
        }
    }

    async fn refresh(&self, stack: &Stack) -> Result<Output, CliError> {
        let package = &self.package;
        let before = self.find(stack).await?.ok_or_else(|| {
            let advice = format!("add it with `badgesmith package add {package}`");
            CliError::NotFound(format!("{package} was never looked up; {advice}"))
        })?;
        self.look_up(stack, Some(before)).await
    }

    /// Makes the refresher look the package up, and waits for the result.
    async fn look_up(&self, stack: &Stack, before: Option<PackageRecord>) -> Result<Output, CliError> {
        self.request(stack, Reason::RefreshNow, Clock::System.now()).await?;
        let packages = stack.packages()?;
        let due = before.map(|record| record.refresh_after);
        let looked_up = async || {
            let record = packages.find(&self.package, Clock::System.now()).await?;
            // The refresher creates an unconfirmed record before it asks the registry.
            let is_result = |record: &PackageRecord| {
                Some(record.refresh_after) != due
                    && (record.state != PackageState::Unconfirmed || record.failures > 0)
            };
            Ok(record.filter(is_result))
        };
        let record = self.poll(looked_up).await?;
        match &record.state {
            _ if record.failures > 0 => Err(self.lookup_failed(record.failures)),
            PackageState::Known(_) => {
                let package = PackageDescription::new(self.package.clone(), &record);
                Ok(Output::new(&PackageStatus { package, status: "was looked up, and is kept up to date" }))
            }
            PackageState::Unconfirmed | PackageState::NotFound => Err(self.not_found()),
        }
    }

    async fn remove(&self, stack: &Stack) -> Result<Output, CliError> {
        let package = &self.package;
        let before = match self.find(stack).await? {
            Some(record) if record.is_scheduled() => record,
            Some(PackageRecord { state: PackageState::Unconfirmed, .. }) => {
                let reason = "was never found, so it expires by itself; there is nothing to remove";
                return Err(CliError::NotFound(format!("{package} {reason}")));
            }
            Some(_) | None => {
                let advice = "`badgesmith package list` lists the packages that are";
                return Err(CliError::NotFound(format!("{package} is not kept up to date; {advice}")));
            }
        };
        let packages = stack.packages()?;
        self.request(stack, Reason::Unschedule, Clock::System.now()).await?;
        let unscheduled = async || {
            let record = packages.find(package, Clock::System.now()).await?;
            Ok((!record.as_ref().is_some_and(PackageRecord::is_scheduled)).then_some(()))
        };
        self.poll(unscheduled).await?;
        let removed =
            RemovedPackage { package: package.clone(), last_requested_at: before.last_requested_at };
        Ok(Output::new(&removed).note("The next read of its badge adds it again."))
    }

    async fn find(&self, stack: &Stack) -> Result<Option<PackageRecord>, CliError> {
        Ok(stack.packages()?.find(&self.package, Clock::System.now()).await?)
    }

    /// Publishes the event that the refresher handles.
    async fn request(&self, stack: &Stack, reason: Reason, now: Timestamp) -> Result<(), CliError> {
        let request = PackageRequest::new(self.package.clone(), reason, now);
        Ok(stack.event_bus()?.publish_requested(&request).await?)
    }

    /// Calls `read` until it returns something, for at most [`Self::timeout`].
    async fn poll<T>(&self, read: impl AsyncFn() -> Result<Option<T>, CliError>) -> Result<T, CliError> {
        let started = Instant::now();
        let mut progress = Progress::new();
        loop {
            if let Some(found) = read().await? {
                return Ok(found);
            }
            if started.elapsed() > Duration::from_secs(self.timeout) {
                return Err(self.timed_out());
            }
            progress.show(&format!("waiting for the refresher, {}", format_duration(started.elapsed())));
            tokio::time::sleep(POLL_INTERVAL).await;
        }
    }

    fn timed_out(&self) -> CliError {
        let Self { package, timeout, .. } = self;
        CliError::Failed(format!(
            "the refresher did not handle {package} within {timeout} s; the request stays queued; `badgesmith status` \
             shows the queues, and the refresher's log has the errors"
        ))
    }

    fn lookup_failed(&self, failures: u32) -> CliError {
        let times = if failures == 1 { String::new() } else { format!(" {failures} times in a row") };
        CliError::Failed(format!(
            "the refresher failed to look up {}{times}; it will try again, and its log has the cause",
            self.package
        ))
    }

    fn not_found(&self) -> CliError {
        let package = &self.package;
        let advice = match package {
            Package::NuGet(None, _) => "check its name",
            Package::NuGet(Some(_), _) => {
                "check its name, and whether its feed needs `badgesmith feed allow`"
            }
            Package::GitHub(..) => "check its name, and whether it has a token (`badgesmith token set`)",
        };
        CliError::NotFound(format!("package {package} not found; {advice}"))
    }
}

async fn list(packages: &Packages) -> Result<Output, CliError> {
    let now = Clock::System.now();
    let mut records = Vec::new();
    let due = scheduled(packages, Timestamp::LAST, now.plus(UNCONFIRMED_DUE_WITHIN)).await?;
    for chunk in due.chunks(CONCURRENT_READS) {
        let mut reads = JoinSet::new();
        for DuePackage { package, .. } in chunk {
            let (packages, package) = (packages.clone(), package.clone());
            reads.spawn(async move { (packages.find(&package, now).await, package) });
        }
        while let Some(read) = reads.join_next().await {
            let (record, package) = read.map_err(|error| CliError::Failed(error.to_string()))?;
            records.extend(record?.map(|record| PackageDescription::new(package, &record)));
        }
    }
    records.sort_by(|a, b| a.package.cmp(&b.package));
    Ok(Output::new(&PackageList { packages: records, now }))
}

/// The packages on the schedule: known ones that are due by `known`, unconfirmed ones that are due by `unconfirmed`.
pub(crate) async fn scheduled(
    packages: &Packages,
    known: Timestamp,
    unconfirmed: Timestamp,
) -> Result<Vec<DuePackage>, CliError> {
    let mut found = Vec::new();
    let shards = DueShard::all_known().map(|shard| (shard, known));
    let names = [DueShard::Unconfirmed, DueShard::Waiting].map(|shard| (shard, unconfirmed));
    for (shard, by) in shards.chain(names) {
        let mut from = None;
        loop {
            let page = packages.due(shard, by, from).await?;
            found.extend(page.packages);
            from = page.next;
            if from.is_none() {
                break;
            }
        }
    }
    Ok(found)
}
