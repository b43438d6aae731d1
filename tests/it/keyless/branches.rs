//! The branches that a job may report for, by the event that started it.
//! <https://docs.github.com/en/actions/reference/workflows-and-actions/events-that-trigger-workflows>

use serde_json::json;
use tests::client::{Answer, with};
use tests::world::World;

use super::unauthorized;

/// Jobs of these run the code of the branch that they belong to.
const EVENTS_OF_A_BRANCH: [&str; 4] = ["push", "schedule", "workflow_dispatch", "repository_dispatch"];

/// The other events of GitHub except `pull_request`.
const OTHER_EVENTS: &str = "\
    branch_protection_rule check_run check_suite create delete deployment deployment_status discussion \
    discussion_comment dynamic fork gollum image_version issue_comment issues label merge_group milestone \
    page_build project project_card project_column public pull_request_comment pull_request_review \
    pull_request_review_comment pull_request_target registry_package release status watch workflow_call \
    workflow_run";

/// Names that GitHub does not have.
const UNKNOWN_EVENTS: [&str; 6] = ["", "PUSH", "push ", "push\0", "a_new_event", "Pull_Request"];

/// Submits a result of `branch` by a job of `event` that belongs to `reference`. The pull request is from main to main.
async fn submit(world: &World, event: &str, reference: &str, branch: &str) -> Answer {
    let body = with(world.keyless_result(), &json!({ "branch": branch }));
    let changed = json!({ "event_name": event, "ref": reference, "head_ref": "main", "base_ref": "main" });
    world.submit(&world.keyless_post(&body, &changed)).await
}

async fn check(
    world: &World,
    expected: &Answer,
    (event, reference, branch): (&str, &str, &str),
    accepted: bool,
) {
    let answer = submit(world, event, reference, branch).await;
    let context = format!("{event:?} of {reference} for {branch}: {}", answer.text);
    if accepted {
        assert_eq!(answer.status, 202, "{context}");
    } else {
        assert_eq!(&answer, expected, "{context}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_job_of_a_branch_reports_for_that_branch() {
    let world = World::keyless("acme").await;
    let expected = unauthorized(&world).await;
    for event in EVENTS_OF_A_BRANCH {
        for (reference, branch, accepted) in [
            ("refs/heads/main", "main", true),
            ("refs/heads/feature/x", "feature/x", true),
            ("refs/heads/pull/7", "pull/7", true),
            ("refs/heads/Main", "main", false),
            ("refs/heads/feature", "main", false),
            ("refs/heads/main2", "main", false),
            ("refs/tags/main", "main", false),
            ("refs/pull/7/merge", "pull/7", false),
            ("refs/heads/main", "octocat:main", false),
            ("refs/heads/refs/heads/main", "main", false),
            ("main", "main", false),
            ("", "main", false),
        ] {
            check(&world, &expected, (event, reference, branch), accepted).await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_pull_request_reports_only_for_its_number() {
    let world = World::keyless("acme").await;
    let expected = unauthorized(&world).await;
    for (reference, branch, accepted) in [
        ("refs/pull/7/merge", "pull/7", true),
        ("refs/pull/7/head", "pull/7", true),
        // From main into another branch, or the other way around.
        ("refs/pull/7/merge", "main", false),
        ("refs/heads/main", "main", false),
        ("refs/pull/7/merge", "pull/8", false),
        ("refs/pull/77/merge", "pull/7", false),
        ("refs/pull/7/merge", "pull/77", false),
        ("refs/pull/7/merge", "pull/07", false),
        ("refs/pull/merge/merge", "pull/merge", false),
        ("refs/pull/7/merge/merge", "pull/7/merge", false),
        ("refs/pull/7/merge", "acme:main", false),
        ("refs/heads/pull/7", "pull/7", false),
        ("refs/tags/pull/7", "pull/7", false),
    ] {
        check(&world, &expected, ("pull_request", reference, branch), accepted).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_job_of_any_other_event_reports_only_for_branches_of_forks() {
    let world = World::keyless("acme").await;
    let expected = unauthorized(&world).await;
    for event in OTHER_EVENTS.split(' ').chain(UNKNOWN_EVENTS) {
        for (reference, branch, accepted) in [
            ("refs/heads/main", "main", false),
            ("refs/pull/7/merge", "pull/7", false),
            ("refs/heads/gh-readonly-queue/main/pr-7", "main", false),
            ("refs/tags/v1", "main", false),
            ("refs/heads/main", ":main", false),
            ("refs/heads/main", "octocat:", false),
            ("refs/heads/main", "octocat:a:b", false),
            ("refs/heads/main", "a b:main", false),
            ("refs/heads/main", "octocat:main", true),
        ] {
            check(&world, &expected, (event, reference, branch), accepted).await;
        }
    }
    world.drain().await;
    assert_eq!(world.badge("linux/acme/keyless/main").await, "no results");
    assert_eq!(world.badge("linux/acme/keyless/octocat:main").await, "190 passed");
}
