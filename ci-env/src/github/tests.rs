//! One environment for each event. The event files are cut down to the fields that identify the source and
//! those that could mislead.

use crate::testing::check;

const ANY: &str = "GITHUB_ACTIONS=true\nCI=true\nGITHUB_REPOSITORY=acme/kit\nGITHUB_REPOSITORY_OWNER=acme\n\
    GITHUB_SHA=ffac537e6cbbf934b08745a378932722df287a53\nGITHUB_RUN_ID=16814735762\nGITHUB_RUN_NUMBER=3\n\
    GITHUB_RUN_ATTEMPT=1\nGITHUB_SERVER_URL=https://github.com\nGITHUB_EVENT_PATH=/event.json\n\
    GITHUB_ACTOR=octocat\nRUNNER_OS=Linux";
const SHA: &str = "ffac537e6cbbf934b08745a378932722df287a53";
const HEAD: &str = "ec26c3e57ca3a959ca5aad62de7213c562f8c821";

#[track_caller]
fn check_with(more: &str, event: &str, branch: &str, commit: &str, tail: &str) {
    let commit = if commit.is_empty() { String::new() } else { format!("commit {commit}") };
    let url = "url https://github.com/acme/kit/actions/runs/16814735762/attempts/1";
    check(
        &format!("{more}\n{ANY}"),
        event,
        &format!(
            "GitHubActions\nrepository acme/kit\nbranch {branch}\n{commit}\nrun 16814735762\nattempt 1\n{url}\n\
             platform linux\n{tail}"
        ),
    );
}

/// The event of a pull request with the branch `branch` of `repository`.
fn pull_request(repository: &str, branch: &str) -> String {
    format!(
        r#"{{"action": "synchronize", "number": 14, "pull_request": {{
            "head": {{"label": "x:{branch}", "ref": "{branch}", "sha": "{HEAD}",
                      "repo": {{"full_name": "{repository}", "fork": true}}}},
            "base": {{"ref": "main", "sha": "{SHA}", "repo": {{"full_name": "acme/kit", "fork": true}}}}}}}}"#
    )
}

const PULL_REQUEST: &str = "GITHUB_EVENT_NAME=pull_request\nGITHUB_REF=refs/pull/14/merge\nGITHUB_REF_NAME=14/merge\n\
    GITHUB_REF_TYPE=branch\nGITHUB_HEAD_REF=feature/x\nGITHUB_BASE_REF=main";
const PULL_REQUEST_TARGET: &str = "GITHUB_EVENT_NAME=pull_request_target\nGITHUB_REF=refs/heads/main\n\
    GITHUB_REF_NAME=main\nGITHUB_HEAD_REF=main\nGITHUB_BASE_REF=main";
const FORKS_GET_NONE: &str = "no key: builds of forks get no secrets";
const DEPENDABOT_GETS_NONE: &str = "no key: runs started by Dependabot get only the secrets of Dependabot";
const QUEUE: &str = "! this is a build of a merge queue, whose branch is temporary";
const NOT_IN_EVENT: &str = "! the event does not name the branch";

#[test]
fn pushes_schedules_and_dispatches_count_for_their_branch() {
    for event in ["push", "schedule", "workflow_dispatch", "repository_dispatch"] {
        let push =
            format!("GITHUB_EVENT_NAME={event}\nGITHUB_REF=refs/heads/feature/x\nGITHUB_REF_NAME=feature/x");
        check_with(&push, r#"{"ref": "refs/heads/feature/x"}"#, "feature/x", SHA, "");
    }
    check_with("GITHUB_EVENT_NAME=deployment", "", "! GITHUB_REF is not set", SHA, "");
}

#[test]
fn reruns_are_later_attempts() {
    check(
        &format!("GITHUB_RUN_ATTEMPT=2\nGITHUB_REF=refs/heads/main\nRUNNER_OS=macOS\n{ANY}"),
        "",
        &format!(
            "GitHubActions\nrepository acme/kit\nbranch main\ncommit {SHA}\nrun 16814735762\nattempt 2
             url https://github.com/acme/kit/actions/runs/16814735762/attempts/2\nplatform macos"
        ),
    );
}

#[test]
fn tags_and_releases_have_no_branch() {
    for event in ["push", "release"] {
        let tag = format!(
            "GITHUB_EVENT_NAME={event}\nGITHUB_REF=refs/tags/v1.0\nGITHUB_REF_NAME=v1.0\nGITHUB_REF_TYPE=tag"
        );
        check_with(&tag, "{}", "! this is a build of the tag \"v1.0\"", SHA, "");
    }
}

#[test]
fn merge_queues_have_no_branch() {
    for event in ["merge_group", "push"] {
        let queue =
            format!("GITHUB_EVENT_NAME={event}\nGITHUB_REF=refs/heads/gh-readonly-queue/main/pr-104-{HEAD}");
        check_with(&queue, r#"{"merge_group": {"base_ref": "refs/heads/main"}}"#, QUEUE, SHA, "");
    }
}

#[test]
fn pull_requests_count_for_their_head() {
    check_with(PULL_REQUEST, &pull_request("acme/kit", "feature/x"), "feature/x", HEAD, "");
    check_with(PULL_REQUEST, &pull_request("Acme/Kit", "feature/x"), "feature/x", HEAD, "");
    let review = PULL_REQUEST
        .replace("=pull_request", "=pull_request_review")
        .replace("GITHUB_HEAD_REF=feature/x", "");
    check_with(&review, &pull_request("acme/kit", "feature/x"), "feature/x", HEAD, "");
    check_with(PULL_REQUEST_TARGET, &pull_request("acme/kit", "feature/x"), "feature/x", HEAD, "");
}

#[test]
fn branches_of_forks_have_their_owner() {
    check_with(PULL_REQUEST, &pull_request("mona/kit", "main"), "mona:main", HEAD, FORKS_GET_NONE);
    check_with(PULL_REQUEST_TARGET, &pull_request("mona/kit", "main"), "mona:main", HEAD, "");
    let deleted =
        format!(r#"{{"pull_request": {{"head": {{"ref": "main", "sha": "{HEAD}", "repo": null}}}}}}"#);
    check_with(PULL_REQUEST, &deleted, "fork:main", HEAD, FORKS_GET_NONE);
    let numbered = deleted.replace("\"head\"", "\"number\": 14, \"head\"");
    check_with(PULL_REQUEST, &numbered, "pull/14", HEAD, FORKS_GET_NONE);
}

#[test]
fn a_run_in_a_fork_has_no_secrets_of_its_parent() {
    let push = "GITHUB_EVENT_NAME=push\nGITHUB_REF=refs/heads/main";
    check_with(push, r#"{"repository": {"fork": true}}"#, "main", SHA, FORKS_GET_NONE);
    check_with(push, r#"{"repository": {"fork": false}}"#, "main", SHA, "");
}

#[test]
fn a_pull_request_without_its_event_file_has_no_branch() {
    for event in ["", "{", "[]", "{}"] {
        check_with(PULL_REQUEST, event, NOT_IN_EVENT, "", "");
        check_with(PULL_REQUEST_TARGET, event, NOT_IN_EVENT, "", "");
    }
}

#[test]
fn comments_on_a_pull_request_are_not_runs_of_the_default_branch() {
    let comment = "GITHUB_EVENT_NAME=issue_comment\nGITHUB_REF=refs/heads/main";
    let of_pull_request = r#"{"issue": {"number": 14, "pull_request": {"url": "https://api.github.com/"}}}"#;
    check_with(comment, of_pull_request, NOT_IN_EVENT, "", "");
    check_with(comment, "", NOT_IN_EVENT, "", "");
    check_with(comment, r#"{"issue": {"number": 14}}"#, "main", SHA, "");
}

#[test]
fn runs_started_by_dependabot_have_only_its_secrets() {
    let branch = "dependabot/nuget/Kit-1.0";
    let by_dependabot =
        format!("GITHUB_ACTOR=dependabot[bot]\nGITHUB_TRIGGERING_ACTOR=octocat\n{PULL_REQUEST}");
    check_with(&by_dependabot, &pull_request("acme/kit", branch), branch, HEAD, DEPENDABOT_GETS_NONE);
    let push =
        format!("GITHUB_ACTOR=dependabot[bot]\nGITHUB_EVENT_NAME=push\nGITHUB_REF=refs/heads/{branch}");
    check_with(&push, "{}", branch, SHA, DEPENDABOT_GETS_NONE);
}

/// The event of a run that was triggered by a run of the branch `branch` of `repository`.
fn triggered_by(repository: &str, branch: &str) -> String {
    format!(
        r#"{{"action": "completed", "workflow_run": {{"id": 30433642, "run_attempt": 3, "event": "pull_request",
            "head_branch": "{branch}", "head_sha": "{HEAD}", "pull_requests": [],
            "head_repository": {{"full_name": "{repository}"}}, "repository": {{"full_name": "acme/kit"}}}}}}"#
    )
}

#[track_caller]
fn check_triggered(event: &str, branch: &str) {
    let default = if event.contains("default_branch") { "default 2.0.0" } else { "" };
    check(
        &format!(
            "GITHUB_EVENT_NAME=workflow_run\nGITHUB_REF=refs/heads/main\nGITHUB_ACTOR=dependabot[bot]\n{ANY}"
        ),
        event,
        &format!(
            "GitHubActions\nrepository acme/kit\nbranch {branch}\ncommit {HEAD}\nrun 30433642\nattempt 3
             url https://github.com/acme/kit/actions/runs/30433642/attempts/3\nplatform linux\n{default}"
        ),
    );
}

#[test]
fn a_workflow_run_counts_for_the_run_that_triggered_it() {
    check_triggered(&triggered_by("acme/kit", "feature/x"), "feature/x");
    check_triggered(&triggered_by("mona/kit", "main"), "mona:main");
    check_triggered(&triggered_by("acme/kit", "gh-readonly-queue/main/pr-104"), QUEUE);
    check_triggered(&triggered_by("acme/kit", "null").replace("\"null\"", "null"), NOT_IN_EVENT);
    check_triggered(&triggered_by("acme/kit", ""), NOT_IN_EVENT);
}

/// The event of a run that was triggered by a run for `event`, with more fields of that run.
fn triggered(event: &str, head_branch: &str, more: &str) -> String {
    format!(
        r#"{{"workflow_run": {{"id": 30433642, "run_attempt": 3, "event": "{event}", "head_sha": "{HEAD}",
            "head_branch": "{head_branch}", "head_repository": {{"full_name": "acme/kit"}}{more}}},
            "repository": {{"full_name": "acme/kit", "default_branch": "2.0.0"}}}}"#
    )
}

#[test]
fn a_workflow_run_triggered_by_a_tag_has_no_branch() {
    let at = |reference: &str| {
        let path = "acme/kit/.github/workflows/test.yml";
        format!(r#", "referenced_workflows": [{{"path": "{path}@{reference}", "ref": "{reference}"}}]"#)
    };
    for (event, name, more) in [
        ("push", "v1.2.3", ""),
        ("push", "1.2.3-rc.1", r#", "pull_requests": []"#),
        ("create", "kit@1.2.3", ""),
        ("push", "kit-v1.2.3", ""),
        ("push", "kit/v1.2.3", ""),
        ("workflow_dispatch", "v1.2.3", ""),
        ("release", "stable", ""),
        ("release", "v1", ""),
        ("push", "nightly", &at("refs/tags/nightly")),
    ] {
        let tag = format!("! this is a build of the tag {name:?}");
        check_triggered(&triggered(event, name, more), &tag);
    }
    check_triggered(&triggered("push", "refs/tags/v1", ""), "! this is a build of the tag \"v1\"");
}

#[test]
fn a_workflow_run_triggered_by_a_branch_has_that_branch() {
    for (event, name, more) in [
        ("push", "release/1.2.3", ""),
        ("push", "1.2", ""),
        ("push", "1.2.3", r#", "pull_requests": [{"number": 14, "head": {"ref": "1.2.3"}}]"#),
        ("push", "fix/v1.2.3", r#", "pull_requests": [{"number": 14, "head": {"ref": "fix/v1.2.3"}}]"#),
        ("push", "1.2.3", r#", "referenced_workflows": [{"ref": "refs/heads/1.2.3"}]"#),
        ("push", "2.0.0", ""),
        ("pull_request", "1.2.3", ""),
        ("schedule", "1.2.3", ""),
    ] {
        check_triggered(&triggered(event, name, more), name);
    }
}

/// Forgejo's variables; Gitea's are those without `FORGEJO_ACTIONS`.
const FORGEJO: &str = "FORGEJO_ACTIONS=true\nGITEA_ACTIONS=true\nGITHUB_ACTIONS=true\nGITHUB_REPOSITORY=acme/kit\n\
    GITHUB_SHA=ffac537e6cbbf934b08745a378932722df287a53\nGITHUB_RUN_ID=44\nGITHUB_RUN_NUMBER=36\n\
    GITHUB_RUN_ATTEMPT=1\nGITHUB_SERVER_URL=https://codeberg.org/\nGITHUB_EVENT_PATH=/event.json\nRUNNER_OS=Linux";

#[track_caller]
fn check_forgejo(more: &str, event: &str, branch: &str, number: &str, tail: &str) {
    for (provider, variables) in
        [("Forgejo", FORGEJO.to_owned()), ("Gitea", FORGEJO.replace("FORGEJO_ACTIONS=true\n", ""))]
    {
        check(
            &format!("{more}\n{variables}"),
            event,
            &format!(
                "{provider}\nrepository acme/kit\nbranch {branch}\nurl https://codeberg.org/acme/kit/actions/runs/{number}\n\
                 platform linux\n{tail}"
            )
            .replace("\nurl", &format!("\ncommit {SHA}\nrun 44\nattempt 1\nurl")),
        );
    }
}

#[test]
fn urls_of_forgejo_and_gitea_have_the_number_of_the_run() {
    check_forgejo("GITHUB_EVENT_NAME=push\nGITHUB_REF=refs/heads/main", "{}", "main", "36", "");
    let tag = "GITHUB_EVENT_NAME=push\nGITHUB_REF=refs/tags/v1.0";
    check_forgejo(tag, "{}", "! this is a build of the tag \"v1.0\"", "36", "");
}

#[test]
fn pull_requests_on_forgejo_and_gitea_count_for_their_source_branch() {
    let event = |reference: &str, repository: &str| {
        format!(
            r#"{{"pull_request": {{"number": 14, "head": {{"ref": "{reference}", "sha": "{SHA}",
                "repo": {{"full_name": "{repository}"}}}}}}}}"#
        )
    };
    for name in ["pull_request", "workflow_call"] {
        let pull_request = format!("GITHUB_EVENT_NAME={name}\nGITHUB_REF=refs/pull/14/head");
        let reads =
            |event: &str, branch: &str, tail: &str| check_forgejo(&pull_request, event, branch, "36", tail);
        reads(&event("feature/x", "acme/kit"), "feature/x", "");
        reads(&event("main", "mona/kit"), "mona:main", FORKS_GET_NONE);
        reads(&event("refs/pull/14/head", "acme/kit"), "pull/14", "");
    }
}

#[test]
fn a_workflow_run_on_gitea_links_to_the_run_that_triggered_it() {
    let event = format!(
        r#"{{"workflow_run": {{"id": 44, "run_number": 35, "run_attempt": 1, "event": "push", "head_branch": "main",
            "head_sha": "{SHA}", "head_repository": {{"full_name": "acme/kit"}}}}}}"#
    );
    check_forgejo("GITHUB_EVENT_NAME=workflow_run\nGITHUB_REF=refs/heads/main", &event, "main", "35", "");
}

#[test]
fn hostile_names_are_passed_on_unchanged() {
    check_with(
        PULL_REQUEST,
        &pull_request("acme/kit", "$(id)`;{{a}}%2F::error::"),
        "$(id)`;{{a}}%2F::error::",
        HEAD,
        "",
    );
    let tag = "GITHUB_EVENT_NAME=push\nGITHUB_REF=refs/tags/a\u{1b}[2J\u{202e}b";
    check_with(tag, "", r#"! this is a build of the tag "a\u{1b}[2J\u{202e}b""#, SHA, "");
}

#[test]
fn servers_without_tls_have_no_run_url() {
    check(
        "GITHUB_ACTIONS=true\nGITHUB_REPOSITORY=acme/kit\nGITHUB_REF=refs/heads/main\nGITHUB_RUN_ID=1\n\
         GITHUB_SERVER_URL=http://github.test\nRUNNER_OS=Windows",
        "",
        "GitHubActions\nrepository acme/kit\nbranch main\nrun 1\nplatform windows",
    );
}
