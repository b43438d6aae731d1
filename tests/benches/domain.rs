//! The parts of a request without I/O: signatures, keys, versions, badges.
//!
//! `cargo bench --bench domain` prints a table; a word after `--` chooses, as in `-- versions`.

#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a benchmark stops when something is wrong"
)]

use badgesmith_aws::clock::Clock;
use badgesmith_domain::badge::Badge;
use badgesmith_domain::key;
use badgesmith_domain::signature::{HmacKey, SecretKeys};
use badgesmith_domain::slots::Summary;
use badgesmith_domain::test_result::{TestResult, TestRun};
use badgesmith_domain::version::{Filter, NuGetVersion, Scheme, Version, Versions};
use divan::counter::{BytesCount, ItemsCount};
use divan::{Bencher, black_box};
use serde_json::json;
use tests::client::{result, with};

fn main() {
    divan::main();
}

/// The longest body that a client sends, and a usual one.
#[divan::bench(args = [500, 64 * 1024])]
fn signature_verified(bencher: Bencher<'_, '_>, bytes: usize) {
    let secret = json!({ "hmac_key": "c2l4dGVlbiBieXRlcyBvciBtb3Jl", "type": "repo_hmac" }).to_string();
    let keys = SecretKeys::parse(&secret).expect("a secret");
    let body = vec![b'x'; bytes];
    let signature = HmacKey::new(*b"c2l4dGVlbiBieXRlcyBvciBtb3Jl").expect("a key").sign(&body);
    assert!(keys.verify(&body, &signature), "the string's own bytes are a key");
    bencher.counter(BytesCount::new(bytes)).bench(|| keys.verify(black_box(&body), &signature));
}

#[divan::bench]
fn keys_of_a_result(bencher: Bencher<'_, '_>) {
    let mut result = with(result(Clock::System.now()), &json!({ "branch": "feature/a#b%c" }));
    result["test_result_id"] = result["nonce"].take();
    let result: TestResult = serde_json::from_value(result).expect("a result");
    bencher.bench(|| {
        let TestRun { repository, platform, branch, .. } = &black_box(&result).run;
        let order = key::ResultOrder::of(&result);
        (
            key::results_partition(repository),
            key::result_sort(*platform, branch, &order),
            key::slot_sort(branch, *platform, None),
            key::branch_partition(repository, branch),
        )
    });
}

/// As many as the largest packages have, in no order: stable ones, prereleases, and some with four numbers.
fn version_texts() -> Vec<String> {
    let text = |number: usize| {
        // A multiplier that is prime to 3,000 visits each once.
        let number = number * 1009 % 3000;
        let core = format!("{}.{}.{}", number / 300, number / 10 % 30, number % 10);
        match number % 4 {
            0 => format!("{core}-beta.{number}+build"),
            1 => format!("{core}.{}", 1 + number % 7),
            _ => core,
        }
    };
    (0..3000).map(text).collect()
}

fn versions() -> Vec<Version> {
    version_texts().iter().map(|text| Scheme::NuGet.parse(text).expect("a version")).collect()
}

#[divan::bench]
fn versions_3000_parsed(bencher: Bencher<'_, '_>) {
    let texts = version_texts();
    let parse = |text: &String| text.parse::<NuGetVersion>();
    bencher.counter(ItemsCount::new(texts.len())).bench(|| texts.iter().flat_map(parse).count());
}

#[divan::bench]
fn versions_3000_put_in_order(bencher: Bencher<'_, '_>) {
    let versions = versions();
    let bencher = bencher.counter(ItemsCount::new(versions.len()));
    bencher
        .with_inputs(|| versions.clone())
        .bench_values(|versions| versions.into_iter().collect::<Versions>());
}

/// A range that only the lowest version fits, so that all are compared; and one that the highest fits.
#[divan::bench(args = ["[0.0.1, 0.0.2)", "[1.0,)"])]
fn versions_3000_searched(bencher: Bencher<'_, '_>, range: &str) {
    let versions: Versions = versions().into_iter().collect();
    let filter = Filter::parse(Scheme::NuGet, range, []).expect("a range");
    bencher.bench(|| versions.latest(black_box(&filter), false).map(ToString::to_string));
}

#[divan::bench]
fn endpoint_json_of_tests(bencher: Bencher<'_, '_>) {
    let newest = Clock::System.now();
    let summary = Summary { passed: 190, failed: 2, has_failure: true, is_complete: true, newest };
    bencher.bench(|| serde_json::to_string(&Badge::tests(black_box(&summary))));
}
