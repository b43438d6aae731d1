//! Environments and runs as text, for the tests.

use std::fmt::Display;

use crate::{CiRun, MissingReason, detect};

/// Detects a run in an environment of `NAME=value` lines, with `event` as the content of the file
/// `/event.json`, and compares it with one line for each value: `branch main`, or `branch ! reason`.
#[track_caller]
pub(crate) fn check(environment: &str, event: &str, expected: &str) {
    let variable = |name: &str| {
        let value =
            environment.lines().filter_map(|line| line.trim().split_once('=')).find(|(key, _)| *key == name);
        value.map(|(_, value)| value.to_owned())
    };
    let read =
        |path: &std::path::Path| (path == "/event.json" && !event.is_empty()).then(|| event.to_owned());
    let expected: Vec<_> = expected.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    assert_eq!(lines(&detect(variable, read)), expected);
}

fn line(name: &str, value: &Result<impl Display, MissingReason>) -> String {
    match value {
        Ok(value) => format!("{name} {value}"),
        Err(reason) => format!("{name} ! {reason}"),
    }
}

fn lines(run: &CiRun) -> Vec<String> {
    let mut lines = vec![format!("{:?}", run.provider)];
    lines.push(line("repository", &run.repository));
    lines.push(line("branch", &run.branch));
    lines.extend(run.commit.as_ref().map(|commit| format!("commit {commit}")));
    lines.extend(run.run_id.as_ref().map(|id| format!("run {id}")));
    lines.extend(run.run_attempt.map(|attempt| format!("attempt {}", attempt.get())));
    lines.extend(run.run_url.as_ref().map(|url| format!("url {url}")));
    lines.extend(run.platform.map(|platform| format!("platform {platform}")));
    lines.extend(run.default_branch.as_ref().map(|branch| format!("default {branch}")));
    lines.extend(run.no_secret_reason.map(|reason| format!("no key: {reason}")));
    lines
}
