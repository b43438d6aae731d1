//! Builds every key of every table. No other module builds keys.
//!
//! | table | partition key | sort key |
//! |---|---|---|
//! | `badge-test-results` | `TEST#{owner}#{repo}` | `RESULT#{platform}#{branch}#{order}` |
//! | its slots | `LATEST#{owner}#{repo}` | `{branch}#{platform}#{suite or nothing}` |
//! | its index of slots | `LATEST#{owner}#{repo}#{branch}` | `{order}` |
//! | `hmac-nonce` | `NONCE#{owner}/{repo}#{nonce or sha256#digest}` | `META` |
//! | `badge-packages` | `PACKAGE#{provider}#{organization, feed or -}#{package}` | `META`, `UPSTREAM`, `VERSIONS` |
//! | its index of due packages | `DUE#{shard}` | `{refresh_after}` |
//! | `badge-secrets` | `SECRET#{provider}#{organization or feed}#{package or *}` | `META` |
//! | the same: feeds | `FEED#{name}` | `META` |
//! | the same: registrations | `REPOSITORY#{owner}#{repo}` | `META` |
//! | the same: owners of keyless repositories | `OWNER#{owner}` | `META` |
//! | the same: issuers of ID tokens | `ISSUER#{URL}` | `META` |
//!
//! `#` and `%` in names are percent-encoded, so that no name can forge another key. An order is
//! `{timestamp}#{run_id}.{run_attempt}#{test_result_id}`. Orders sort by time and, within one millisecond, by run
//! and attempt.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use crate::ids::{Branch, Nonce, Owner, ParseError, Platform, Repository};
use crate::issuer::Issuer;
use crate::package::{FeedName, Package};
use crate::secret_scope::SecretScope;
use crate::signature::Digest;
use crate::test_result::{Suite, TestResult};
use crate::timestamp::Timestamp;

/// The maximum length of a sort key in DynamoDB, in bytes.
pub const SORT_KEY_BYTES_MAX: usize = 1024;

/// A partition and sort key that no item has, since every partition key contains a `#`. For calls that only open a
/// connection.
pub const WARM_UP_KEY: &str = "WARM_UP_KEY";
/// The sort key in tables with one item per partition key. For a package, the sort key of the item with its state.
pub const META: &str = "META";
/// The sort key of the item with a package's versions.
pub const VERSIONS: &str = "VERSIONS";
/// The sort key of the item with the validators for conditional requests to a package's upstream.
pub const UPSTREAM: &str = "UPSTREAM";
/// The prefix of the partition keys of all feeds, and of no others.
pub const FEED_PREFIX: &str = "FEED#";
/// The prefix of the partition keys of all registrations, and of no others.
pub const REGISTRATION_PREFIX: &str = "REPOSITORY#";

/// The partition key of a repository's results.
pub fn results_partition(repository: &Repository) -> String {
    format!("TEST#{}#{}", part(repository.owner.as_str()), part(repository.repo.as_str()))
}

/// The sort key of one result.
pub fn result_sort(platform: Platform, branch: &Branch, order: &ResultOrder) -> String {
    format!("{}{order}", ResultRange::Branch(platform, branch).prefix())
}

/// The partition key of a repository's slots.
pub fn slots_partition(repository: &Repository) -> String {
    format!("LATEST#{}#{}", part(repository.owner.as_str()), part(repository.repo.as_str()))
}

/// The sort key of the slot of a suite on a platform and branch. `None` is the unnamed suite.
pub fn slot_sort(branch: &Branch, platform: Platform, suite: Option<&Suite>) -> String {
    let suite = suite.map_or(Cow::Borrowed(""), |suite| part(suite.as_str()));
    format!("{}{platform}#{suite}", slot_prefix(branch))
}

/// The prefix of the sort keys of a branch's slots, and of no others.
pub fn slot_prefix(branch: &Branch) -> String {
    format!("{}#", part(branch.as_str()))
}

/// The partition key of a branch in the index of slots.
pub fn branch_partition(repository: &Repository, branch: &Branch) -> String {
    format!("{}#{}", slots_partition(repository), part(branch.as_str()))
}

/// The partition key of a submission's reservation.
pub fn reservation_partition(repository: &Repository, submission: &ReservationKey) -> String {
    let Repository { owner, repo } = repository;
    let (owner, repo) = (part(owner.as_str()), part(repo.as_str()));
    match submission {
        ReservationKey::Nonce(nonce) => format!("NONCE#{owner}/{repo}#{}", part(nonce.as_str())),
        // No nonce can name this key: in a nonce, `#` is encoded.
        ReservationKey::Body(digest) => format!("NONCE#{owner}/{repo}#sha256#{digest}"),
    }
}

/// The key from which the id of an imported result is derived. It differs from all reservation keys, because those
/// begin with `NONCE#`. `partition` and `sort` are the key of the imported item.
pub fn import_key(partition: &str, sort: &str, branch: &Branch) -> String {
    format!("IMPORT#{}#{}#{}", part(partition), part(sort), part(branch.as_str()))
}

/// The partition key of a package.
pub fn package_partition(package: &Package) -> String {
    let scope = match package {
        Package::NuGet(None, _) => "-",
        Package::NuGet(Some(feed), _) => feed.as_str(),
        Package::GitHub(organization, ..) => organization.as_str(),
    };
    format!("PACKAGE#{}#{}#{}", package.provider(), part(scope), part(package.name().as_str()))
}

/// The package with the partition key `partition`; `None` if that is not the key of a package.
pub fn package_of(partition: &str) -> Option<Package> {
    // Package names contain no `#` or `%`, so nothing needs to be decoded.
    let ["PACKAGE", provider, scope, name] = *partition.split('#').collect::<Vec<_>>() else { return None };
    let text = if (provider, scope) == ("nuget", "-") {
        format!("nuget/{name}")
    } else {
        format!("{provider}/{scope}/{name}")
    };
    text.parse().ok().filter(|package| package_partition(package) == partition)
}

/// The partition key of a secret mapping.
pub fn secret_partition(scope: &SecretScope) -> String {
    match scope {
        SecretScope::Organization(organization, package_type) => {
            format!("SECRET#{}#{}#*", package_type.provider(), part(organization.as_str()))
        }
        SecretScope::Package(package) => {
            let partition = package_partition(package);
            format!("SECRET{}", partition.strip_prefix("PACKAGE").unwrap_or(&partition))
        }
    }
}

/// The partition key of a NuGet feed.
pub fn feed_partition(feed: &FeedName) -> String {
    format!("{FEED_PREFIX}{}", part(feed.as_str()))
}

/// The feed with the partition key `partition`; `None` if that is not the key of a feed.
pub fn feed_of(partition: &str) -> Option<FeedName> {
    partition.strip_prefix(FEED_PREFIX)?.parse().ok()
}

/// The prefix of the partition keys of the secret mappings of a feed's packages, and of no others.
pub fn feed_secrets_prefix(feed: &FeedName) -> String {
    format!("SECRET#nuget#{}#", part(feed.as_str()))
}

/// The one package of the secret mapping with the partition key `partition`.
pub fn package_of_secret(partition: &str) -> Option<Package> {
    package_of(&format!("PACKAGE{}", partition.strip_prefix("SECRET")?))
}

/// The partition key of a repository's registration.
pub fn registration_partition(repository: &Repository) -> String {
    format!("{REGISTRATION_PREFIX}{}#{}", part(repository.owner.as_str()), part(repository.repo.as_str()))
}

/// The repository whose registration has the partition key `partition`; `None` for another key.
pub fn registered_repository(partition: &str) -> Option<Repository> {
    // Names of repositories contain no `#` or `%`, so nothing needs to be decoded.
    let (owner, repo) = partition.strip_prefix(REGISTRATION_PREFIX)?.split_once('#')?;
    Some(Repository { owner: owner.parse().ok()?, repo: repo.parse().ok()? })
}

/// The partition key of what is known about an owner of keyless repositories.
pub fn owner_partition(owner: &Owner) -> String {
    format!("OWNER#{}", part(owner.as_str()))
}

/// The partition key of the keys of an issuer.
pub fn issuer_partition(issuer: &Issuer) -> String {
    format!("ISSUER#{}", part(issuer.as_str()))
}

/// One partition of the index of due packages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DueShard {
    /// Packages that are known to exist, spread over several partitions to distribute the writes.
    Known(u8),
    /// Names that no upstream has confirmed yet, and whose last lookup failed.
    Unconfirmed,
    /// Names that wait for their first lookup.
    Waiting,
}

impl DueShard {
    /// The number of shards for known packages. One partition accepts 1,000 writes per second, and a refresh costs
    /// two: <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/bp-partition-key-design.html>
    pub const KNOWN: u8 = 8;

    /// The shard of a known package. It never changes.
    pub fn of(package: &Package) -> Self {
        let digest = Digest::of(package.to_string().as_bytes());
        Self::Known(digest.first_byte() % Self::KNOWN)
    }

    pub fn all_known() -> impl Iterator<Item = Self> {
        (0..Self::KNOWN).map(Self::Known)
    }

    pub fn partition(self) -> String {
        match self {
            Self::Known(shard) => format!("DUE#{shard}"),
            Self::Unconfirmed => "DUE#unconfirmed".to_owned(),
            Self::Waiting => "DUE#waiting".to_owned(),
        }
    }
}

/// Identifies a submission by the nonce that its signature covers or, without a nonce, by its bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReservationKey {
    /// The nonce of the signed body.
    Nonce(Nonce),
    /// The SHA-256 of the signed body.
    Body(Digest),
}

/// The position of a result among the results of its platform and branch, which are ordered by time.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ResultOrder(String);

impl ResultOrder {
    /// The position of `result`. Numeric run ids of up to 20 digits compare as numbers.
    pub fn of(result: &TestResult) -> Self {
        let TestResult { id, run } = result;
        let (timestamp, run_id, attempt) = (run.timestamp, run.run_id.as_str(), run.run_attempt.get());
        Self(if run_id.bytes().all(|byte| byte.is_ascii_digit()) {
            format!("{timestamp}#{run_id:0>20}.{attempt:04}#{id}")
        } else {
            format!("{timestamp}#{run_id}.{attempt:04}#{id}")
        })
    }
}

impl FromStr for ResultOrder {
    type Err = ParseError;

    /// Parses an order. Validates its timestamp and accepts the rest as is.
    fn from_str(text: &str) -> Result<Self, ParseError> {
        let invalid = ParseError { expected: "a result order, TIMESTAMP#RUN.ATTEMPT#ID" };
        let (timestamp, _) = text.split_once('#').ok_or(invalid)?;
        let parsed: Timestamp = timestamp.parse()?;
        if parsed.to_string() == timestamp { Ok(Self(text.to_owned())) } else { Err(invalid) }
    }
}

impl fmt::Display for ResultOrder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Results of a repository whose sort keys form one contiguous range.
#[derive(Debug, Clone, Copy)]
pub enum ResultRange<'a> {
    All,
    Platform(Platform),
    Branch(Platform, &'a Branch),
}

impl ResultRange<'_> {
    /// The prefix that exactly the sort keys of these results start with. Ends in `#`.
    pub fn prefix(&self) -> String {
        match self {
            Self::All => "RESULT#".to_owned(),
            Self::Platform(platform) => format!("RESULT#{platform}#"),
            Self::Branch(platform, branch) => format!("RESULT#{platform}#{}#", part(branch.as_str())),
        }
    }

    /// The bounds of the sort keys of these results, both inclusive.
    pub fn range(&self) -> (String, String) {
        let first = self.prefix();
        // `$` follows `#` in ASCII, so this bound sorts after every key with the prefix and before every key that
        // follows those.
        let last = format!("{}$", first.trim_end_matches('#'));
        (first, last)
    }

    /// The bounds of the sort keys of the results at or after `from` and before `to`, both inclusive. Meaningful
    /// only for [`ResultRange::Branch`].
    pub fn time_range(&self, from: Option<Timestamp>, to: Option<Timestamp>) -> (String, String) {
        let (first, last) = self.range();
        let prefix = self.prefix();
        (
            from.map_or(first, |from| format!("{prefix}{from}")),
            // A sort key at the time `to` continues after its timestamp, so it sorts after this bound.
            to.map_or(last, |to| format!("{prefix}{to}")),
        )
    }
}

/// Encodes a name for use in a key.
fn part(name: &str) -> Cow<'_, str> {
    if name.contains(['#', '%']) { name.replace('%', "%25").replace('#', "%23").into() } else { name.into() }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::test_result::{Counts, Outcome, RunAttempt, TestResultId, TestRun};

    /// The maximum length of a partition key in DynamoDB, in bytes:
    /// <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Constraints.html>
    const PARTITION_KEY_BYTES_MAX: usize = 2048;

    fn result(timestamp: i64, run_id: &str, attempt: u64) -> TestResult {
        let run = TestRun {
            run_attempt: RunAttempt::try_from(attempt).unwrap(),
            ..TestRun::new(
                "acme/kit".parse().unwrap(),
                Platform::Linux,
                "main".parse().unwrap(),
                Outcome::from_counts(Counts::new(1, 0, 0, 1).unwrap()),
                Timestamp::from_unix_milliseconds(timestamp),
                run_id.parse().unwrap(),
            )
        };
        TestResult { id: TestResultId::derive(run_id, &Digest::of(b"")), run }
    }

    fn slug() -> impl Strategy<Value = String> {
        "[a-z0-9._-]{1,4}"
    }

    /// Short names made of the characters that separate the parts of keys, so that a forged key would be found.
    fn branch() -> impl Strategy<Value = Branch> {
        "[a#%/2-5A$ä]{1,6}".prop_filter_map("an invalid branch", |text| text.parse().ok())
    }

    fn repository() -> impl Strategy<Value = Repository> {
        (slug(), slug()).prop_map(|(owner, repo)| Repository {
            owner: owner.parse().unwrap(),
            repo: repo.parse().unwrap(),
        })
    }

    fn target() -> impl Strategy<Value = (Repository, Platform, Branch, Option<Suite>)> {
        let suite = "[a#%/2-5A$ä]{0,4}".prop_map(|text| text.parse().ok());
        (repository(), 0..3_usize, branch(), suite).prop_map(|(repository, platform, branch, suite)| {
            (repository, Platform::ALL[platform], branch, suite)
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2048))]

        #[test]
        fn different_targets_have_different_keys(a in target(), b in target()) {
            let order = ResultOrder::of(&result(0, "1", 1));
            let result = |(repository, platform, branch, _): &(Repository, Platform, Branch, Option<Suite>)| {
                (results_partition(repository), result_sort(*platform, branch, &order))
            };
            let slot = |(repository, platform, branch, suite): &(Repository, Platform, Branch, Option<Suite>)| {
                (slots_partition(repository), slot_sort(branch, *platform, suite.as_ref()))
            };
            prop_assert_eq!((&a.0, a.1, &a.2) == (&b.0, b.1, &b.2), result(&a) == result(&b));
            prop_assert_eq!(a == b, slot(&a) == slot(&b));
            prop_assert_eq!((&a.0, &a.2) == (&b.0, &b.2), branch_partition(&a.0, &a.2) == branch_partition(&b.0, &b.2));
        }

        #[test]
        fn a_range_holds_the_results_of_its_target_only(a in branch(), b in branch(), platform in 0..3_usize, other in 0..3_usize) {
            let (platform, other) = (Platform::ALL[platform], Platform::ALL[other]);
            let key = result_sort(other, &b, &ResultOrder::of(&result(0, "1", 1)));
            let holds = |range: ResultRange<'_>| {
                let (first, last) = range.range();
                first <= key && key <= last
            };
            prop_assert_eq!(holds(ResultRange::Branch(platform, &a)), platform == other && a == b);
            prop_assert_eq!(holds(ResultRange::Platform(platform)), platform == other);
            prop_assert!(holds(ResultRange::All));
        }

        #[test]
        fn keys_sort_by_time_then_run_then_attempt(
            a in (-2_000_000_000_000_i64..4_000_000_000_000, 0..u64::MAX, 1..=9999_u64),
            b in (-2_000_000_000_000_i64..4_000_000_000_000, 0..u64::MAX, 1..=9999_u64),
            same_time: bool,
            same_run: bool,
        ) {
            let b = (if same_time { a.0 } else { b.0 }, if same_run { a.1 } else { b.1 }, b.2);
            let order = |(time, run, attempt): (i64, u64, u64)| ResultOrder::of(&result(time, &run.to_string(), attempt));
            prop_assert_eq!(a.cmp(&b), order(a).cmp(&order(b)));
            prop_assert_eq!(order(a).to_string().parse(), Ok(order(a)));
        }

        #[test]
        fn a_time_range_is_half_open(at in 0..100_i64, from in 0..100_i64, to in 0..100_i64) {
            let branch = "main".parse().unwrap();
            let range = ResultRange::Branch(Platform::Linux, &branch);
            let time = Timestamp::from_unix_milliseconds;
            let (first, last) = range.time_range(Some(time(from)), Some(time(to)));
            let key = result_sort(Platform::Linux, &branch, &ResultOrder::of(&result(at, "1", 1)));
            prop_assert_eq!(first <= key && key <= last, from <= at && at < to);
        }
    }

    #[test]
    fn keys_have_the_documented_form() {
        let repository = "Acme/Kit".parse().unwrap();
        let branch = "a#b%/C".parse().unwrap();
        let order = ResultOrder::of(&result(0, "7", 2));
        let id = TestResultId::derive("7", &Digest::of(b""));
        assert_eq!(results_partition(&repository), "TEST#acme#kit");
        assert_eq!(
            result_sort(Platform::MacOs, &branch, &order),
            format!("RESULT#macos#a%23b%25/C#1970-01-01T00:00:00.000Z#00000000000000000007.0002#{id}")
        );
        assert_eq!(slots_partition(&repository), "LATEST#acme#kit");
        let suite = "ci / test #1".parse().unwrap();
        assert_eq!(slot_sort(&branch, Platform::MacOs, Some(&suite)), "a%23b%25/C#macos#ci / test %231");
        assert_eq!(slot_sort(&branch, Platform::MacOs, None), "a%23b%25/C#macos#");
        assert_eq!(branch_partition(&repository, &branch), "LATEST#acme#kit#a%23b%25/C");
        assert_eq!(registration_partition(&repository), "REPOSITORY#acme#kit");
        assert_eq!(registered_repository("REPOSITORY#acme#kit"), Some(repository.clone()));
        assert_eq!(registered_repository("SECRET#github#acme#kit"), None);
        let nonce = ReservationKey::Nonce("12345#78".parse().unwrap());
        assert_eq!(reservation_partition(&repository, &nonce), "NONCE#acme/kit#12345%2378");
        let body = ReservationKey::Body(Digest::of(b""));
        assert_eq!(
            reservation_partition(&repository, &body),
            "NONCE#acme/kit#sha256#e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
        );
    }

    #[test]
    fn package_keys_have_the_documented_form_and_parse_back() {
        for (package, partition) in [
            ("nuget/Newtonsoft.Json", "PACKAGE#nuget#-#newtonsoft.json"),
            ("github/Acme/Acme.Kit", "PACKAGE#github#acme#acme.kit"),
            ("nuget/my-feed/Kit", "PACKAGE#nuget#my-feed#kit"),
            ("github-npm/acme/kit", "PACKAGE#github-npm#acme#kit"),
            ("github-container/acme/kit/api", "PACKAGE#github-container#acme#kit/api"),
        ] {
            let package: Package = package.parse().unwrap();
            assert_eq!(package_partition(&package), partition);
            assert_eq!(package_of(partition), Some(package));
        }
        for invalid in
            ["", "PACKAGE#nuget#Acme#kit", "PACKAGE#github#-#kit", "PACKAGE#nuget#-#Kit", "TEST#a#b"]
        {
            assert_eq!(package_of(invalid), None, "{invalid}");
        }
        let secret = |scope: &str| secret_partition(&scope.parse().unwrap());
        assert_eq!(secret("Acme"), "SECRET#github#acme#*");
        assert_eq!(secret("npm:acme"), "SECRET#github-npm#acme#*");
        assert_eq!(secret("acme/Acme.Kit"), "SECRET#github#acme#acme.kit");
        assert_eq!(secret("container:acme/kit/api"), "SECRET#github-container#acme#kit/api");
        let of_feed = SecretScope::Package("nuget/my-feed/kit".parse().unwrap());
        assert_eq!(secret_partition(&of_feed), "SECRET#nuget#my-feed#kit");
        assert_eq!(package_of_secret("SECRET#nuget#my-feed#kit"), "nuget/my-feed/kit".parse().ok());
        let feed = "my-feed".parse().unwrap();
        assert_eq!(
            (feed_partition(&feed), feed_secrets_prefix(&feed)),
            ("FEED#my-feed".into(), "SECRET#nuget#my-feed#".into())
        );
        assert_eq!(feed_of("FEED#my-feed"), Some(feed));
        // The shard of a package must be the same in every version of this crate.
        let shards = ["nuget/newtonsoft.json", "nuget/serilog", "github/acme/acme.kit"]
            .map(|package| DueShard::of(&package.parse().unwrap()).partition());
        assert_eq!(shards, ["DUE#1", "DUE#4", "DUE#1"]);
    }

    #[test]
    fn no_key_exceeds_the_size_limits_of_dynamodb() {
        let longest = "x".repeat(100);
        let repository = format!("{longest}/{longest}").parse().unwrap();
        let branch = "#".repeat(255).parse().unwrap();
        let order = ResultOrder::of(&result(0, &"9".repeat(64), 9999));
        let nonce = ReservationKey::Nonce("%".repeat(128).parse().unwrap());
        assert!(results_partition(&repository).len() <= PARTITION_KEY_BYTES_MAX);
        assert!(branch_partition(&repository, &branch).len() <= PARTITION_KEY_BYTES_MAX);
        let suite = "#".repeat(80).parse().unwrap();
        assert!(slot_sort(&branch, Platform::Windows, Some(&suite)).len() <= SORT_KEY_BYTES_MAX);
        assert!(reservation_partition(&repository, &nonce).len() <= PARTITION_KEY_BYTES_MAX);
        assert!(result_sort(Platform::Windows, &branch, &order).len() <= SORT_KEY_BYTES_MAX);
        let package = format!("github-container/{}/{}", "o".repeat(39), "p".repeat(255)).parse().unwrap();
        assert!(package_partition(&package).len() <= PARTITION_KEY_BYTES_MAX);
    }
}
