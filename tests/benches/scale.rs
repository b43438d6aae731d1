//! What becomes of the service when it grows: what docs/scale.md says, worked out.
//!
//! `cargo bench --bench scale` prints the tables of docs/scale.md, in half a minute. Nothing is measured, no clock is
//! read and nothing depends on the machine: it is arithmetic, and simulations of what arithmetic cannot say. They read
//! their settings from template.yaml and from the sources, so that a change there shows here.
//!
//! The exit code is 1 if a row that is printed is not in docs/scale.md, or a claim of it is not true.

#![expect(
    clippy::expect_used,
    clippy::print_stdout,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unreachable,
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::cast_sign_loss,
    reason = "a benchmark writes to the terminal, and stops when something is wrong"
)]

#[path = "scale/agenda.rs"]
mod agenda;
#[path = "scale/badge.rs"]
mod badge;
#[path = "scale/bill.rs"]
mod bill;
#[path = "scale/items.rs"]
mod items;
#[path = "scale/keys.rs"]
mod keys;
#[path = "scale/paper.rs"]
mod paper;
#[path = "scale/posts.rs"]
mod posts;
#[path = "scale/repository.rs"]
mod repository;
#[path = "scale/settings.rs"]
mod settings;

use std::process::ExitCode;

use crate::bill::Scale;
use crate::items::Item;
use crate::paper::{Paper, count, heading, rounded};
use crate::settings::{IN_FLIGHT_MAX, Settings};

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let settings = Settings::read();
    let mut paper = Paper::read();
    bill::tell(&mut paper, &settings);
    hot_badge(&mut paper, &settings);
    dark_table(&mut paper, &settings);
    let items = items::measure().await;
    let [ordinary, largest] = items;
    heading("items");
    for (name, Item { bytes, write_units }) in [("an ordinary result", ordinary), ("the largest", largest)] {
        paper.words(&format!("{name} {} bytes ({})", count(bytes), rounded(write_units)));
    }
    noisy_neighbour(&mut paper, &settings);
    hot_repository(&mut paper, &settings, items);
    outage(&mut paper, &settings);
    many_repositories(&mut paper, &settings);
    if paper.is_right() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// One badge, 10,000 times a second.
fn hot_badge(paper: &mut Paper, settings: &Settings) {
    heading("a hot badge: what reaches the API");
    let deployed = badge::Story::new(600.0);
    let mut tell = |name: &str, story: &badge::Story| {
        let mut outcome = badge::tell(story, settings);
        paper.row(&[
            name.to_owned(),
            rounded(outcome.requests as f64 / story.seconds),
            count(outcome.first_second),
            count(outcome.worst_second),
            count(outcome.functions_max),
            rounded(outcome.table_reads as f64 / story.seconds),
            format!("{} s", rounded(outcome.waits.percentile(99))),
            format!("{} s", rounded(outcome.oldest)),
        ]);
        outcome
    };
    let layers = |layers| badge::Story { layers, ..deployed.clone() };
    let as_deployed = tell("as deployed: 700 edge locations, 13 regional caches", &deployed);
    let shielded = tell("with Origin Shield", &layers(badge::Layers::OriginShield));
    tell("edge locations alone", &layers(badge::Layers::Edges));
    let herd =
        tell("if requests did not wait for each other", &badge::Story { is_collapsing: false, ..deployed });
    paper.claim(as_deployed.requests < 600, "a hot badge costs the API less than a request a second");
    paper.claim(shielded.requests < 60, "with Origin Shield less than a tenth of one");
    paper.claim(as_deployed.oldest < 92.0, "no reader sees a badge that is older than a minute and a half");
    paper.claim(as_deployed.throttled + as_deployed.no_function == 0, "nothing of it is refused");
    paper.claim(herd.throttled > 0, "without collapsing the first second is more than the API takes");
}

/// DynamoDB does not answer for a minute.
fn dark_table(paper: &mut Paper, settings: &Settings) {
    heading("a hot badge while DynamoDB does not answer for a minute");
    let calm = badge::Story { outage_at: 300.0, outage: 60.0, ..badge::Story::new(360.0) };
    let mut tell = |name: &str, story: &badge::Story| {
        let outcome = badge::tell(story, settings);
        paper.row(&[
            name.to_owned(),
            rounded(story.others_per_second),
            count(outcome.functions_before),
            count(outcome.functions_max),
            format!("{}%", rounded(outcome.unavailable_percent)),
        ]);
        outcome
    };
    let alone = tell("as deployed", &calm);
    let busy = badge::Story { others_per_second: 100.0, ..calm.clone() };
    let as_deployed = tell("as deployed", &busy);
    let flooded = tell("as deployed", &badge::Story { others_per_second: 1000.0, ..calm });
    let proposed = tell("if badge-api answered 503 instead", &badge::Story { says_503: true, ..busy });
    paper.claim(
        alone.unavailable_percent == 0.0,
        "memory alone carries a badge through, if nothing else is read",
    );
    paper.claim(
        as_deployed.unavailable_percent > 5.0,
        "new functions say \"unavailable\", and the CDN believes them",
    );
    paper.claim(flooded.functions_max == settings::CONCURRENCY, "1,000 badges a second use up the account");
    paper.claim(proposed.unavailable_percent == 0.0, "with a 503 the CDN keeps what it has");
}

/// One repository posts more than the API lets in.
fn noisy_neighbour(paper: &mut Paper, settings: &Settings) {
    heading("1,000 posts a second of one repository, 20 of others, for two minutes: who gets in");
    let deployed = posts::Story {
        hot_per_second: 1000.0,
        others_per_second: 20.0,
        seconds: 120.0,
        posts_per_second: settings.posts_per_second,
        concurrency: settings.ingest_concurrency,
    };
    let mut tell = |story: &posts::Story| {
        let mut outcome = posts::tell(story, settings);
        for (name, fate) in [("that one", &mut outcome.hot), ("others", &mut outcome.others)] {
            let percent = |part: usize| format!("{}%", rounded(100.0 * part as f64 / fate.posts as f64));
            let cells = [percent(fate.at_once), percent(fate.accepted), percent(fate.gave_up)];
            let setting = format!("{}: {name}", rounded(story.posts_per_second));
            let times = [50, 99].map(|percent| rounded(fate.times.percentile(percent)));
            paper.row(&[&[setting], &cells[..], &[format!("{} s, {} s", times[0], times[1])]].concat());
        }
        outcome
    };
    let throttled = tell(&deployed);
    let open = tell(&posts::Story { posts_per_second: 2000.0, ..deployed });
    let gave_up = throttled.others.gave_up as f64 / throttled.others.posts as f64;
    paper.claim(gave_up > 0.5, "one repository keeps most results of others out, as deployed");
    paper.claim(open.others.gave_up + open.hot.gave_up == 0, "with 2,000 posts a second nobody is kept out");
    paper.claim(open.functions_max <= settings.ingest_concurrency, "for which 50 functions are enough");
}

/// One repository's results, once the API lets them in.
fn hot_repository(paper: &mut Paper, settings: &Settings, [ordinary, largest]: [Item; 2]) {
    heading("the queue, when one repository posts for ten minutes, and others 20 a second");
    let story = |hot_per_second, item: Item| repository::Story {
        hot_per_second,
        others_per_second: 20.0,
        seconds: 600.0,
        write_units: item.write_units,
        outage: 0.0..0.0,
        is_fair: true,
        batches_at_once: settings.processor_concurrency,
    };
    let mut tell = |name: &str, story: &repository::Story| {
        let mut outcome = repository::tell(story, settings);
        let delays = |times: &mut agenda::Times| {
            format!("{} s, {} s", rounded(times.percentile(50)), rounded(times.percentile(99)))
        };
        paper.row(&[
            name.to_owned(),
            count(outcome.waiting_max),
            count(outcome.in_flight_max),
            format!("{}%", rounded(100.0 * outcome.failed_receives as f64 / outcome.receives as f64)),
            count(outcome.dead),
            format!("{} s", rounded(outcome.drained_after.round())),
            delays(&mut outcome.hot),
            delays(&mut outcome.others),
        ]);
        paper.claim(outcome.stored + outcome.dead == outcome.sent, "nothing is lost");
        paper.claim(outcome.oldest < settings.retention, "nothing waits for as long as the queue keeps it");
        outcome
    };
    let normal = tell("1,000/s, ordinary", &story(1000.0, ordinary));
    let double = tell("2,000/s, ordinary", &story(2000.0, ordinary));
    let worst = story(1000.0, largest);
    let mut large = tell("1,000/s, the largest", &worst);
    let unfair = tell("the same, if the queue were not fair", &repository::Story { is_fair: false, ..worst });
    let hour = repository::Story { seconds: 3600.0, ..story(200.0, largest) };
    let hour = tell("200/s, the largest, for an hour: what the API lets in", &hour);
    for outcome in [&normal, &double, &large, &unfair, &hour] {
        paper.claim(outcome.dead == 0, "throttling makes no dead letters");
        paper.claim(outcome.in_flight_max < IN_FLIGHT_MAX / 10, "and hides few messages");
    }
    paper.claim(large.others.percentile(99) < 1.0, "others do not wait behind it");
}

/// DynamoDB refuses every write.
fn outage(paper: &mut Paper, settings: &Settings) {
    heading("DynamoDB refuses all writes, at 4 results a second");
    for (minutes, is_harmless) in [(55.0, true), (65.0, false)] {
        let story = repository::Story {
            hot_per_second: 0.0,
            others_per_second: 4.0,
            seconds: minutes * 60.0 + 60.0,
            write_units: 1.0,
            outage: 0.0..minutes * 60.0,
            is_fair: true,
            batches_at_once: settings.processor_concurrency,
        };
        let outcome = repository::tell(&story, settings);
        paper.row(&[
            format!("{} minutes", rounded(minutes)),
            count(outcome.sent),
            count(outcome.stored),
            count(outcome.dead),
            count(outcome.receives_most as usize),
        ]);
        paper.claim(outcome.stored + outcome.dead == outcome.sent, "nothing is lost in an outage");
        paper
            .claim((outcome.dead == 0) == is_harmless, "an outage of less than an hour makes no dead letter");
    }
}

/// Many repositories, each of which has its key.
fn many_repositories(paper: &mut Paper, settings: &Settings) {
    heading("posts that are refused because too many keys would have to be read");
    let [_, hundred, ten_thousand] = Scale::all();
    for (name, scale, posts_per_second, is_harmless) in [
        ("100 times, peak", hundred, hundred.peak_posts_per_second(), true),
        ("10,000 times, average", ten_thousand, ten_thousand.posts_per_second(), true),
        ("10,000 times, peak", ten_thousand, ten_thousand.peak_posts_per_second(), false),
    ] {
        let repositories = scale.repositories() as usize;
        let outcome = keys::tell(&keys::Story { repositories, posts_per_second, seconds: 600.0 }, settings);
        let percent = |part: usize| format!("{}%", rounded(100.0 * part as f64 / outcome.posts as f64));
        let refused = outcome.refused as f64 / outcome.posts as f64;
        paper.row(&[
            name.to_owned(),
            count(repositories),
            rounded(posts_per_second),
            count(outcome.functions),
            percent(outcome.reads),
            percent(outcome.refused),
        ]);
        paper.claim(
            (refused < 0.01) == is_harmless,
            "keys are read fast enough until 10,000 times, at its peak",
        );
    }
}
