//! The state of the pipeline, and checks of it.

use std::fs;

use badgesmith_aws::clock::Clock;
use embedded_aws::Queues;
use tests::client::{Post, result};

use super::{World, badgesmith, output_of, until};

#[tokio::test(flavor = "multi_thread")]
async fn the_status_is_a_table_for_people_and_json_for_programs() {
    let world = World::start().await;
    let key = world.run(&["repo", "add", "acme/kit"]).await.ok();
    let post = Post::json(&result(Clock::System.now())).signed(key.trim());
    assert_eq!(world.api().send(&post).await.unwrap().status, 202);
    until(async || world.api().history("acme/kit", "", 1).await.unwrap().len() == 1).await;
    let config = world.server.aws().sdk_config();
    let dead = Queues::url("badge-refresh-events-dlq");
    aws_sdk_sqs::Client::new(&config).send_message().queue_url(dead).message_body("{}").send().await.unwrap();

    let status = world.run(&["status", "--repo", "acme/kit", "--json"]).await.json();
    let queues: Vec<_> =
        status["queues"].as_array().unwrap().iter().map(|queue| queue["visible"].as_u64()).collect();
    assert_eq!(queues, [Some(0), Some(0), Some(0), Some(0), Some(1)]);
    assert_eq!(status["queues"][4]["oldest_seconds"], 0);
    assert_eq!(status["refresh"]["lag_seconds"], 0);
    assert_eq!(
        (&status["results"][0]["passed"], &status["results"][0]["branch"]),
        (&190.into(), &"main".into())
    );
    assert_eq!((&status["slots"][0]["state"], &status["slots"][0]["passed"]), (&"live".into(), &190.into()));
    let status = world.run(&["status", "--repo", "acme/kit"]).await.ok();
    for part in [
        "badge-refresh-events-dlq  1",
        "1 dead letter in refresh-events",
        "no packages are overdue",
        "linux     (unnamed)  190     0       success",
        "acme/kit, branch main:",
        "linux     (unnamed)  190     0       0        success",
    ] {
        assert!(status.contains(part), "{part}: {status}");
    }
    assert!(!status.contains('\u{1b}'), "a pipe gets no colors");
    let other = world.run(&["status", "--repo", "acme/kit", "--branch", "dev"]).await.ok();
    assert!(other.contains("no results for acme/kit on branch dev"), "{other}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_doctor_reports_failed_checks() {
    let world = World::start().await;
    let passed = world.run(&["doctor"]).await.ok();
    assert!(passed.contains("ok") && !passed.contains("FAILED"), "{passed}");
    world.run(&["doctor", "--repo", "acme/kit"]).await.failed(2, "--url");

    let no_answer = output_of(badgesmith(&["doctor", "--endpoint-url", "http://127.0.0.1:9"])).await;
    assert_eq!(no_answer.code, Some(1));
    assert!(
        no_answer.stdout.contains("FAILED") && no_answer.stdout.contains("check the network"),
        "{no_answer:?}"
    );
    let no_stack = world.run(&["doctor", "--stack", "badgesmith"]).await;
    assert_eq!(no_stack.code, Some(1));
    assert!(
        no_stack.stdout.contains("ok      clock") && no_stack.stdout.contains("a `local` has no stacks"),
        "{no_stack:?}"
    );
    let url = "http://mona:secret@127.0.0.1:9";
    let url = world.run(&["doctor", "--repo", "acme/kit", "--url", url]).await;
    url.failed(2, "--url: expected");
    assert!(!url.stderr.contains("secret"), "{url:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_profile_takes_precedence_over_the_environment() {
    let world = World::start().await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("credentials");
    fs::write(&file, "[prod]\naws_access_key_id = AKIAPROFILE\naws_secret_access_key = x\n").unwrap();
    let mut command = world.command(&["doctor", "--profile", "prod"]);
    command.env("AWS_SHARED_CREDENTIALS_FILE", &file);
    command.env("AWS_ACCESS_KEY_ID", "AKIAENVIRONMENT").env("AWS_SECRET_ACCESS_KEY", "y");
    // An empty variable names no stack.
    command.env("BADGESMITH_STACK", "");
    let report = output_of(command).await.ok();
    assert!(report.contains("AKIAPROFILE") && !report.contains("AKIAENVIRONMENT"), "{report}");
}
