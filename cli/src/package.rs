//! `badgesmith package`: what is kept up to date.
//!
//! The refresher is the only writer of packages. So nothing is written here: the refresher is asked, by the event that
//! badges ask it with, and then the table is watched until it has answered.

use std::time::{Duration, Instant};

use badgesmith_aws::clock::Clock;
use badgesmith_aws::dynamodb::{DuePackage, Packages};
use badgesmith_domain::key::DueShard;
use badgesmith_domain::package::Package;
use badgesmith_domain::package_record::{PackageRecord, PackageState};
use badgesmith_domain::package_request::{PackageRequest, Reason};
use badgesmith_domain::timestamp::Timestamp;
use badgesmith_domain::version::NuGetVersion;
use clap::{Args, Subcommand};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::duration::{age, format_duration};
use crate::error::CliError;
use crate::help;
use crate::stack::{Stack, Target};
use crate::table::Table;
use crate::terminal::Progress;
use crate::told::Told;

/// How often the table is looked at while the refresher is at work.
const LOOK_AGAIN: Duration = Duration::from_millis(250);
/// Packages that are read at once.
const AT_ONCE: usize = 32;
/// What was never confirmed is due within the hour, and forgotten after a day.
const UNPROVEN_WITHIN: Duration = Duration::from_hours(1);

/// Says which packages are kept up to date.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Have a package looked up, and kept up to date, before anybody reads its badge
    ///
    /// What nobody reads for 30 days leaves the schedule by itself; adding it again starts that time anew.
    #[command(after_long_help = help::with_examples(ADD))]
    Add(Asking),
    /// Have the refresher let go of a package
    ///
    /// The refresher takes it off the schedule. What was shown by a consent of its own is deleted; what is public is
    /// kept for 90 days. A badge that somebody still reads brings it back: for a package of GitHub, withdraw the consent
    /// with `badgesmith token delete`.
    #[command(after_long_help = help::with_examples(REMOVE))]
    Remove(Asking),
    /// List what is kept up to date: latest versions, and when they were looked up
    #[command(after_long_help = help::with_examples(LIST))]
    List(List),
    /// Have a package looked up at once, whether it is due or not
    #[command(after_long_help = help::with_examples(REFRESH))]
    Refresh(Asking),
}

const ADD: &str = "    badgesmith package add nuget/Newtonsoft.Json --stack badgesmith
    badgesmith package add github/acme/Acme.Kit --stack badgesmith --timeout 120";

const REMOVE: &str = "    badgesmith package remove nuget/Newtonsoft.Json --stack badgesmith";

const LIST: &str = "    badgesmith package list --stack badgesmith
    badgesmith package list --stack badgesmith --json | jq -r '.packages[] | select(.failures > 0).package'";

const REFRESH: &str = "    badgesmith package refresh nuget/Newtonsoft.Json --stack badgesmith";

#[derive(Debug, Args)]
pub(crate) struct Asking {
    /// The package: nuget/PACKAGE or github/ORG/PACKAGE
    #[arg(value_name = "PACKAGE")]
    package: Package,
    /// How long to wait for the refresher, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    timeout: u64,
    #[command(flatten)]
    target: Target,
}

#[derive(Debug, Args)]
pub(crate) struct List {
    #[command(flatten)]
    target: Target,
}

impl Command {
    pub(crate) fn target(&self) -> &Target {
        match self {
            Self::Add(asking) | Self::Remove(asking) | Self::Refresh(asking) => &asking.target,
            Self::List(list) => &list.target,
        }
    }

    pub(crate) async fn run(&self) -> Result<Told, CliError> {
        let stack = self.target().find().await?;
        match self {
            Self::Add(asking) => asking.add(&stack).await,
            Self::Remove(asking) => asking.remove(&stack).await,
            Self::Refresh(asking) => asking.refresh(&stack).await,
            Self::List(_) => list(&stack.packages()?).await,
        }
    }
}

impl Asking {
    async fn add(&self, stack: &Stack) -> Result<Told, CliError> {
        let now = Clock::System.now();
        match self.find(stack).await? {
            Some(record) if record.is_scheduled() && record.refresh_after > now => {
                self.ask(stack, Reason::StillRead, now).await?;
                Ok(self.told(&record, "is kept up to date already"))
            }
            before => self.look_up(stack, before).await,
        }
    }

    async fn refresh(&self, stack: &Stack) -> Result<Told, CliError> {
        let Some(before) = self.find(stack).await? else {
            let package = &self.package;
            let advice = format!("`badgesmith package add {package}` has it looked up");
            return Err(CliError::NotFound(format!("nothing is known of {package}: {advice}")));
        };
        self.look_up(stack, Some(before)).await
    }

    /// Has the refresher look the package up, and says what it has found.
    async fn look_up(&self, stack: &Stack, before: Option<PackageRecord>) -> Result<Told, CliError> {
        self.ask(stack, Reason::RefreshNow, Clock::System.now()).await?;
        let packages = stack.packages()?;
        let due = before.map(|record| record.refresh_after);
        let looked_up = async || {
            let record = packages.find(&self.package, Clock::System.now()).await?;
            // A name that nobody knew is there at once, without a state.
            let is_new = |record: &PackageRecord| {
                Some(record.refresh_after) != due
                    && (record.state != PackageState::Unconfirmed || record.failures > 0)
            };
            Ok(record.filter(is_new))
        };
        let record = self.until(looked_up).await?;
        match &record.state {
            _ if record.failures > 0 => {
                let (package, failures) = (&self.package, record.failures);
                let advice = "it is tried again by itself; the refresher's log says what is wrong upstream";
                let times =
                    if failures == 1 { String::new() } else { format!(", {failures} times in a row") };
                Err(CliError::Failed(format!("{package} could not be looked up{times}: {advice}")))
            }
            PackageState::Known(_) => Ok(self.told(&record, "was looked up, and is kept up to date")),
            PackageState::Unconfirmed | PackageState::NotFound => Err(self.absent()),
        }
    }

    async fn remove(&self, stack: &Stack) -> Result<Told, CliError> {
        let package = &self.package;
        let Some(before) = self.find(stack).await?.filter(PackageRecord::is_scheduled) else {
            let advice = "`badgesmith package list` lists what is";
            return Err(CliError::NotFound(format!("{package} is not kept up to date: {advice}")));
        };
        let packages = stack.packages()?;
        self.ask(stack, Reason::Unschedule, Clock::System.now()).await?;
        let gone = async || {
            let record = packages.find(package, Clock::System.now()).await?;
            Ok((!record.as_ref().is_some_and(PackageRecord::is_scheduled)).then_some(()))
        };
        self.until(gone).await?;
        let json = json!({ "package": package.to_string(), "last_requested_at": before.last_requested_at.to_string() });
        let note = "A badge of it that somebody reads brings it back.";
        Ok(Told::new(json, format!("{package} is no longer kept up to date")).note(note))
    }

    async fn find(&self, stack: &Stack) -> Result<Option<PackageRecord>, CliError> {
        Ok(stack.packages()?.find(&self.package, Clock::System.now()).await?)
    }

    async fn ask(&self, stack: &Stack, reason: Reason, now: Timestamp) -> Result<(), CliError> {
        let request = PackageRequest::new(self.package.clone(), reason, now);
        Ok(stack.event_bus()?.publish_requested(&request).await?)
    }

    async fn until<T>(&self, look: impl AsyncFn() -> Result<Option<T>, CliError>) -> Result<T, CliError> {
        let started = Instant::now();
        let mut progress = Progress::new();
        loop {
            if let Some(found) = look().await? {
                return Ok(found);
            }
            if started.elapsed() > Duration::from_secs(self.timeout) {
                return Err(self.not_yet());
            }
            progress.show(&format!("waiting for the refresher, {}", format_duration(started.elapsed())));
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }

    fn told(&self, record: &PackageRecord, what: &str) -> Told {
        let version = latest(record).map(|version| format!(" {version}")).unwrap_or_default();
        Told::new(to_json(&self.package, record), format!("{}{version} {what}", self.package))
    }

    fn not_yet(&self) -> CliError {
        let Self { package, timeout, .. } = self;
        let advice = "it is asked, and does it when it can; `badgesmith status` shows what waits, its log what is wrong";
        CliError::Failed(format!("the refresher has not looked after {package} within {timeout} s: {advice}"))
    }

    fn absent(&self) -> CliError {
        let package = &self.package;
        let advice = match package {
            Package::NuGet(_) => "is its name right?",
            Package::GitHub(..) => "is there a token for it (`badgesmith token set`), and its name right?",
        };
        CliError::NotFound(format!("there is no package {package} to be shown: {advice}"))
    }
}

fn latest(record: &PackageRecord) -> Option<&NuGetVersion> {
    match &record.state {
        PackageState::Known(known) => known.latest(false),
        PackageState::Unconfirmed | PackageState::NotFound => None,
    }
}

/// A package for programs.
fn to_json(package: &Package, record: &PackageRecord) -> Value {
    let (state, known) = match &record.state {
        PackageState::Unconfirmed => ("unproven", None),
        PackageState::NotFound => ("not_found", None),
        PackageState::Known(known) => ("known", Some(known)),
    };
    let version = |version: Option<&NuGetVersion>| version.map(ToString::to_string);
    json!({
        "package": package.to_string(),
        "state": state,
        "latest_stable": known.and_then(|known| version(known.latest_stable.as_ref())),
        "latest_prerelease": known.and_then(|known| version(known.latest_prerelease.as_ref())),
        "private": known.is_some_and(|known| known.private),
        "scheduled": known.is_some_and(|known| known.scheduled),
        "fetched_at": known.map(|known| known.fetched_at.to_string()),
        "changed_at": known.map(|known| known.changed_at.to_string()),
        "refresh_after": record.refresh_after.to_string(),
        "last_requested_at": record.last_requested_at.to_string(),
        "failures": record.failures,
    })
}

async fn list(packages: &Packages) -> Result<Told, CliError> {
    let now = Clock::System.now();
    let mut records = Vec::new();
    for chunk in scheduled(packages, Timestamp::LAST, now.plus(UNPROVEN_WITHIN)).await?.chunks(AT_ONCE) {
        let mut reading = JoinSet::new();
        for DuePackage { package, .. } in chunk {
            let (packages, package) = (packages.clone(), package.clone());
            reading.spawn(async move { (packages.find(&package, now).await, package) });
        }
        while let Some(read) = reading.join_next().await {
            let (record, package) = read.map_err(|error| CliError::Failed(error.to_string()))?;
            records.extend(record?.map(|record| (package, record)));
        }
    }
    records.sort_by(|(a, _), (b, _)| a.cmp(b));
    let json = json!({
        "packages": records.iter().map(|(package, record)| to_json(package, record)).collect::<Vec<_>>(),
    });
    if records.is_empty() {
        return Ok(Told::new(json, "no packages are kept up to date"));
    }
    let mut table = Table::new(&["PACKAGE", "LATEST", "PRERELEASE", "LOOKED UP", "NEXT", "READ"]);
    for (package, record) in &records {
        let known = match &record.state {
            PackageState::Known(known) => Some(known),
            PackageState::Unconfirmed | PackageState::NotFound => None,
        };
        let version = |version: Option<&NuGetVersion>| version.map_or("-".to_owned(), ToString::to_string);
        let next = if record.refresh_after > now {
            format!("in {}", format_duration(record.refresh_after.since(now)))
        } else {
            format!("{} overdue", age(record.refresh_after, now))
        };
        table.row([
            package.to_string(),
            version(known.and_then(|known| known.latest_stable.as_ref())),
            version(known.and_then(|known| known.latest_prerelease.as_ref())),
            known.map_or("never".to_owned(), |known| format!("{} ago", age(known.fetched_at, now))),
            if record.failures > 0 { format!("{next}, failed {} times", record.failures) } else { next },
            format!("{} ago", age(record.last_requested_at, now)),
        ]);
    }
    Ok(Told::new(json, table.to_string()))
}

/// What is on the schedule, due by `known` if it exists, by `unproven` if nobody knows yet.
pub(crate) async fn scheduled(
    packages: &Packages,
    known: Timestamp,
    unproven: Timestamp,
) -> Result<Vec<DuePackage>, CliError> {
    let mut found = Vec::new();
    let shards = DueShard::all_known().map(|shard| (shard, known));
    for (shard, by) in shards.chain([(DueShard::Unconfirmed, unproven)]) {
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
