//! What is modelled: settings as template.yaml has them, and constants as the sources have them, so that a change
//! there is a change here; and what AWS says of itself.

use std::fs;
use std::path::Path;

use embedded_aws::template;
use serde_json::Value;

/// What one partition of a table, or of an index, takes: write units a second. It is enforced whatever the table as a
/// whole may take, and a partition is not split under sort keys that only increase, as those of one branch do:
/// <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/bp-partition-key-design.html>,
/// <https://aws.amazon.com/blogs/database/part-2-scaling-dynamodb-how-partitions-hot-keys-and-split-for-heat-impact-performance/>.
/// An index that cannot take a write refuses it to the table:
/// <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/gsi-throttling.html>
pub(crate) const PARTITION_WRITES: f64 = 1000.0;
/// Messages that were received and neither deleted nor visible again. Beyond it a queue hands out nothing:
/// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/quotas-queues.html>
pub(crate) const IN_FLIGHT_MAX: usize = 120_000;
/// Batches that an event source mapping begins with, and those that it adds in a second (300 a minute):
/// <https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-scaling.html>
pub(crate) const BATCHES_AT_FIRST: f64 = 5.0;
pub(crate) const MORE_BATCHES_PER_SECOND: f64 = 5.0;
/// A queue counts one group of messages as noisy when it has more than this share of what is in flight, and this many:
/// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-fair-queues-detailed.html>
pub(crate) const NOISY_SHARE: f64 = 0.1;
pub(crate) const NOISY_MIN: usize = 30;
/// Functions that an account runs at once, unless it asks for more; a new account has fewer:
/// <https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html>
pub(crate) const CONCURRENCY: usize = 1000;
/// The retries that an SDK client has in hand, and what one after throttling costs
/// (`aws-smithy-runtime`, `client/retries/token_bucket.rs`).
pub(crate) const SDK_TOKENS: u32 = 500;
pub(crate) const SDK_RETRY_COST: u32 = 5;

/// What is not documented, and not measured on AWS: estimates, in seconds.
pub(crate) mod estimates {
    /// One call to DynamoDB or EventBridge from a function.
    pub(crate) const CALL: f64 = 0.010;
    /// What Lambda needs for a batch beside the function: to receive, to invoke and to delete.
    pub(crate) const POLL: f64 = 0.030;
    /// A function that starts, before its first request: some 40 ms of ours, and what the network adds.
    pub(crate) const COLD_START: f64 = 0.150;
    /// A post, and one that has to read its key first. docs/operations.md assumes the same.
    pub(crate) const POST: f64 = 0.030;
    /// A batch of the processor, when nothing stands in its way.
    pub(crate) const BATCH: f64 = 0.020;
    /// A badge from the table, as docs/operations.md assumes, and one from memory.
    pub(crate) const BADGE: f64 = 0.010;
    pub(crate) const BADGE_FROM_MEMORY: f64 = 0.002;
    /// From one layer of the CDN to the next, or to the API, one way.
    pub(crate) const HOP: f64 = 0.020;
}

/// What template.yaml and the sources say. Times are in seconds.
pub(crate) struct Settings {
    pub(crate) requests_per_second: f64,
    pub(crate) posts_per_second: f64,
    pub(crate) ingest_concurrency: usize,
    pub(crate) processor_concurrency: usize,
    pub(crate) batch_size: usize,
    pub(crate) visibility_timeout: f64,
    pub(crate) receives_max: u32,
    pub(crate) retention: f64,
    pub(crate) unprocessed_patience: f64,
    pub(crate) unprocessed_backoff: f64,
    pub(crate) unprocessed_backoff_max: f64,
    pub(crate) sdk_attempts: u32,
    pub(crate) sdk_backoff: f64,
    pub(crate) fresh: f64,
    pub(crate) stale_while_revalidate: f64,
    pub(crate) unavailable_fresh: f64,
    pub(crate) memory: f64,
    pub(crate) badge_patience: f64,
    pub(crate) keys_kept: usize,
    pub(crate) key_lifetime: f64,
    pub(crate) lookups_at_once: f64,
    pub(crate) lookups_per_second: f64,
    pub(crate) client_backoff: f64,
    pub(crate) client_backoff_max: f64,
    pub(crate) client_patience: f64,
    pub(crate) schedule: f64,
    pub(crate) fresh_packages: f64,
    pub(crate) refresher_memory: f64,
    pub(crate) refresher_timeout: f64,
    pub(crate) refresher_time_left: f64,
    pub(crate) github_at_once: f64,
}

impl Settings {
    pub(crate) fn read() -> Self {
        let document = template::document().expect("a template");
        let parameter = |name: &str| number(&document["Parameters"][name]["Default"]);
        let property = |id: &str| document["Resources"][id]["Properties"].clone();
        let source = &property("Processor")["Events"]["Results"]["Properties"];
        let queue = property("ResultsQueue");
        let results = Source::of("shared/src/dynamodb/results.rs");
        let sdk = Source::of("shared/src/sdk.rs");
        let keys = Source::of("ingest-api/src/repository_keys.rs");
        let badges = Source::of("badge-api/src/respond.rs");
        let client = Source::of("cli/src/submit/send.rs");
        Self {
            requests_per_second: parameter("RequestsPerSecond"),
            posts_per_second: parameter("PostsPerSecond"),
            // `!If [HasReservedConcurrency, 50, ..]`
            ingest_concurrency: number(&property("IngestApi")["ReservedConcurrentExecutions"][1]) as usize,
            processor_concurrency: number(&source["ScalingConfig"]["MaximumConcurrency"]) as usize,
            batch_size: number(&source["BatchSize"]) as usize,
            visibility_timeout: number(&queue["VisibilityTimeout"]),
            receives_max: number(&queue["RedrivePolicy"]["maxReceiveCount"]) as u32,
            retention: number(&queue["MessageRetentionPeriod"]),
            unprocessed_patience: results.period("const UNPROCESSED_PATIENCE: Duration = "),
            unprocessed_backoff_max: results.period("const UNPROCESSED_BACKOFF_MAX: Duration = "),
            unprocessed_backoff: results.period("const UNPROCESSED_BACKOFF: Duration = "),
            sdk_attempts: sdk.number("const ATTEMPTS: u32 = ") as u32,
            sdk_backoff: sdk.period("const FIRST_BACKOFF: Duration = "),
            fresh: badges.from("Self::TestResults =>").number("s-maxage="),
            stale_while_revalidate: badges.from("Self::TestResults =>").number("stale-while-revalidate="),
            unavailable_fresh: badges.from("Self::Unavailable =>").number("s-maxage="),
            memory: Source::of("badge-api/src/latest.rs").period("const LIFETIME: Duration = "),
            badge_patience: Source::of("badge-api/src/app.rs").period("call: "),
            keys_kept: keys.number("const KNOWN_MAX: NonZeroUsize = NonZeroUsize::new(") as usize,
            key_lifetime: keys.period("const LIFETIME: Duration = "),
            lookups_at_once: keys.number("const READ_BURST: f64 = "),
            lookups_per_second: keys.number("const READS_PER_SECOND: f64 = "),
            client_backoff: client.period("const BACKOFF_FIRST: Duration = "),
            client_backoff_max: client.period("const BACKOFF_MAX: Duration = "),
            client_patience: Source::of("cli/src/submit/options.rs")
                .number("value_name = \"SECONDS\", default_value_t = "),
            schedule: 60.0 * minutes(&document["Parameters"]["RefreshSchedule"]["Default"]),
            fresh_packages: parameter("FreshSeconds"),
            refresher_memory: number(&property("Refresher")["MemorySize"]),
            refresher_timeout: number(&property("Refresher")["Timeout"]),
            refresher_time_left: Source::of("refresher/src/schedule.rs")
                .period("const TIME_MIN: Duration = "),
            github_at_once: Source::of("refresher/src/upstream/http.rs")
                .number("const GITHUB_AT_ONCE_MAX: usize = "),
        }
    }
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or_else(|| panic!("the template has {value} where a number is expected"))
}

/// `rate(5 minutes)`
fn minutes(value: &Value) -> f64 {
    let digits = value.as_str().and_then(|rate| rate.strip_prefix("rate(")?.split_once(' '));
    digits.and_then(|(digits, _)| digits.parse().ok()).expect("a rate in minutes")
}

/// A file of the project, to take constants from.
pub(crate) struct Source {
    name: &'static str,
    text: String,
}

impl Source {
    pub(crate) fn of(name: &'static str) -> Self {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(name);
        Self { name, text: fs::read_to_string(path).expect("a file of the project") }
    }

    /// Whether it has this line.
    pub(crate) fn has_line(&self, line: &str) -> bool {
        self.text.lines().any(|other| other == line)
    }

    pub(crate) fn has(&self, words: &str) -> bool {
        self.text.contains(words)
    }

    /// What follows `before`.
    fn from(&self, before: &str) -> Self {
        Self { name: self.name, text: self.after(before).to_owned() }
    }

    fn after(&self, before: &str) -> &str {
        let found = self.text.split_once(before);
        found.unwrap_or_else(|| panic!("{} has no `{before}` any more", self.name)).1
    }

    fn number(&self, before: &str) -> f64 {
        let digits: String =
            self.after(before).chars().take_while(|c| c.is_ascii_digit() || *c == '.').collect();
        digits.parse().unwrap_or_else(|_| panic!("{}: no number follows `{before}`", self.name))
    }

    /// `Duration::from_millis(50)`, for example, in seconds.
    fn period(&self, before: &str) -> f64 {
        let units = [("millis", 0.001), ("secs", 1.0), ("mins", 60.0), ("hours", 3600.0)];
        let rest = self.after(before);
        let unit = units.iter().find(|(unit, _)| rest.starts_with(&format!("Duration::from_{unit}(")));
        let (unit, factor) = unit.unwrap_or_else(|| panic!("{}: no period follows `{before}`", self.name));
        self.number(&format!("{before}Duration::from_{unit}(")) * factor
    }
}
