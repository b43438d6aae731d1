//! The output of `badgesmith submit`: on stdout, and for later steps of a GitHub Actions job.

use std::fmt;
use std::fs::OpenOptions;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use badgesmith_domain::ids::{Branch, Platform};
use badgesmith_domain::test_result::{Conclusion, Counts, Suite, TestResultId, TestRun};
use serde::Serialize;

use super::send::{Accepted, SendError};
use super::urls::BadgeUrls;

/// The outcome of a submission. `--json` prints it as JSON; it displays as the badge in Markdown.
#[derive(Debug, Serialize)]
pub(crate) struct SubmitOutput {
    accepted: bool,
    /// Present if the result was accepted.
    #[serde(skip_serializing_if = "Option::is_none")]
    test_result_id: Option<TestResultId>,
    /// Present if the result was not accepted.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    repository: String,
    platform: Platform,
    branch: Branch,
    #[serde(skip_serializing_if = "Option::is_none")]
    suite: Option<Suite>,
    #[serde(flatten)]
    counts: Counts,
    conclusion: Conclusion,
    /// How many of the passed tests were retried.
    retried: u64,
    #[serde(flatten)]
    urls: BadgeUrls,
    markdown: String,
    /// With the image from shields.io.
    shields_markdown: String,
}

/// What `--json` prints if nothing was sent.
#[derive(Debug, Default, Serialize)]
pub(crate) struct NothingSent {
    /// Always false.
    accepted: bool,
    /// Present if something is missing or invalid.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    /// Present if there is nothing to send, for example from a build of a tag.
    #[serde(skip_serializing_if = "Option::is_none")]
    skipped: Option<String>,
}

impl NothingSent {
    pub(crate) fn error(error: String) -> Self {
        Self { error: Some(error), ..Self::default() }
    }

    pub(crate) fn skipped(reason: String) -> Self {
        Self { skipped: Some(reason), ..Self::default() }
    }
}

/// Files of a GitHub Actions runner:
/// <https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-commands>
#[derive(Debug, Clone, Default)]
pub(crate) struct RunnerFiles {
    /// `GITHUB_OUTPUT`
    pub(crate) output: Option<PathBuf>,
    /// `GITHUB_STEP_SUMMARY`
    pub(crate) step_summary: Option<PathBuf>,
}

impl RunnerFiles {
    /// Adds Markdown to the summary of the step.
    pub(crate) fn append_summary(&self, markdown: &str) -> io::Result<()> {
        self.step_summary.as_deref().map_or(Ok(()), |path| append(path, markdown))
    }
}

impl SubmitOutput {
    pub(crate) fn new(
        test_run: &TestRun,
        retried: u64,
        urls: BadgeUrls,
        outcome: &Result<Accepted, SendError>,
    ) -> Self {
        Self {
            accepted: outcome.is_ok(),
            test_result_id: outcome.as_ref().ok().map(|accepted| accepted.test_result_id),
            error: outcome.as_ref().err().map(ToString::to_string),
            repository: test_run.repository.to_string(),
            platform: test_run.platform,
            branch: test_run.branch.clone(),
            suite: test_run.suite.clone(),
            counts: test_run.outcome.counts(),
            conclusion: test_run.outcome.conclusion().unwrap_or(Conclusion::Success),
            retried,
            markdown: urls.markdown(),
            shields_markdown: urls.shields_markdown(),
            urls,
        }
    }

    /// Writes the outputs of the step, and its summary.
    pub(crate) fn write(&self, files: &RunnerFiles) -> io::Result<()> {
        if let Some(path) = &files.output {
            append(path, &self.step_outputs())?;
        }
        files.append_summary(&self.step_summary())
    }

    /// `name=value` lines. No value has a line break: numbers, IDs and URLs, which are percent-encoded.
    fn step_outputs(&self) -> String {
        let Self { counts, urls, markdown, .. } = self;
        [
            ("passed", counts.passed().to_string()),
            ("failed", counts.failed().to_string()),
            ("skipped", counts.skipped().to_string()),
            ("total", counts.total().to_string()),
            ("conclusion", self.conclusion.as_str().to_owned()),
            ("badge-url", urls.badge_url.clone()),
            ("markdown", markdown.clone()),
            ("test-result-id", self.test_result_id.map(|id| id.to_string()).unwrap_or_default()),
        ]
        // A line break would be another output, chosen by whoever chose the value.
        .map(|(name, value)| format!("{name}={}\n", value.replace(char::is_control, "")))
        .concat()
    }

    fn step_summary(&self) -> String {
        let Self { platform, counts, markdown, shields_markdown, .. } = self;
        let branch = code_span(self.branch.as_str());
        let suite = self.suite.as_ref().map(|suite| format!("Suite: {}\n\n", code_span(suite.as_str())));
        let suite = suite.unwrap_or_default();
        let (passed, failed, skipped, total) =
            (counts.passed(), counts.failed(), counts.skipped(), counts.total());
        let conclusion = self.conclusion.as_str();
        let warning = if self.accepted {
            ""
        } else {
            "\nThe service did **not accept** the result; the log of this step has the reason.\n"
        };
        format!(
            "### Tests of {branch} on {platform}\n\n{suite}| passed | failed | skipped | total | conclusion |\n\
             |---|---|---|---|---|\n| {passed} | {failed} | {skipped} | {total} | {conclusion} |\n{warning}\n{markdown}\n\n\
             ```markdown\n{markdown}\n```\n\nThe same image from shields.io, which keeps it for five minutes:\n\n\
             ```markdown\n{shields_markdown}\n```\n"
        )
    }
}

impl fmt::Display for SubmitOutput {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.markdown)
    }
}

/// Untrusted text as code in Markdown. A backtick would end it.
pub(crate) fn code_span(text: &str) -> String {
    format!("`{}`", text.replace(['`', '\r', '\n'], "'"))
}

fn append(path: &Path, text: &str) -> io::Result<()> {
    OpenOptions::new().create(true).append(true).open(path)?.write_all(text.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::super::payload::testing::test_run;
    use super::*;

    const ID: &str = "6f1f0c7e-8a5d-8e0b-9c1a-2b3c4d5e6f70";

    fn output(outcome: &Result<Accepted, SendError>) -> SubmitOutput {
        let test_run = TestRun { branch: "ma`in".parse().unwrap(), ..test_run() };
        let service = "https://badges.test".parse().unwrap();
        let urls = BadgeUrls::new(&service, &test_run.repository, &test_run.branch);
        SubmitOutput::new(&test_run, 3, urls, outcome)
    }

    #[test]
    fn an_accepted_result_has_an_id() {
        let output = output(&Ok(Accepted { test_result_id: ID.parse().unwrap() }));
        insta::assert_snapshot!(serde_json::to_string_pretty(&output).unwrap(), @r#"
        {
          "accepted": true,
          "test_result_id": "6f1f0c7e-8a5d-8e0b-9c1a-2b3c4d5e6f70",
          "repository": "acme/kit",
          "platform": "linux",
          "branch": "ma`in",
          "passed": 190,
          "failed": 2,
          "skipped": 1,
          "total": 193,
          "conclusion": "failure",
          "retried": 3,
          "badge_url": "https://badges.test/badges/tests/all/acme/kit?branch=ma%60in",
          "image_url": "https://badges.test/svg/tests/all/acme/kit?branch=ma%60in",
          "shields_url": "https://img.shields.io/endpoint?url=https%3A%2F%2Fbadges.test%2Fbadges%2Ftests%2Fall%2Facme%2Fkit%3Fbranch%3Dma%2560in",
          "link_url": "https://badges.test/redirect/test-results/all/acme/kit?branch=ma%60in",
          "markdown": "[![Tests](https://badges.test/svg/tests/all/acme/kit?branch=ma%60in)](https://badges.test/redirect/test-results/all/acme/kit?branch=ma%60in)",
          "shields_markdown": "[![Tests](https://img.shields.io/endpoint?url=https%3A%2F%2Fbadges.test%2Fbadges%2Ftests%2Fall%2Facme%2Fkit%3Fbranch%3Dma%2560in)](https://badges.test/redirect/test-results/all/acme/kit?branch=ma%60in)"
        }
        "#);
        insta::assert_snapshot!(output.step_outputs(), @r"
        passed=190
        failed=2
        skipped=1
        total=193
        conclusion=failure
        badge-url=https://badges.test/badges/tests/all/acme/kit?branch=ma%60in
        markdown=[![Tests](https://badges.test/svg/tests/all/acme/kit?branch=ma%60in)](https://badges.test/redirect/test-results/all/acme/kit?branch=ma%60in)
        test-result-id=6f1f0c7e-8a5d-8e0b-9c1a-2b3c4d5e6f70
        ");
        insta::assert_snapshot!(output.step_summary(), @r"
        ### Tests of `ma'in` on linux

        | passed | failed | skipped | total | conclusion |
        |---|---|---|---|---|
        | 190 | 2 | 1 | 193 | failure |

        [![Tests](https://badges.test/svg/tests/all/acme/kit?branch=ma%60in)](https://badges.test/redirect/test-results/all/acme/kit?branch=ma%60in)

        ```markdown
        [![Tests](https://badges.test/svg/tests/all/acme/kit?branch=ma%60in)](https://badges.test/redirect/test-results/all/acme/kit?branch=ma%60in)
        ```

        The same image from shields.io, which keeps it for five minutes:

        ```markdown
        [![Tests](https://img.shields.io/endpoint?url=https%3A%2F%2Fbadges.test%2Fbadges%2Ftests%2Fall%2Facme%2Fkit%3Fbranch%3Dma%2560in)](https://badges.test/redirect/test-results/all/acme/kit?branch=ma%60in)
        ```
        ");
    }

    #[test]
    fn a_rejected_result_has_an_error_instead_of_an_id() {
        let output = output(&Err(SendError::Rejected("401 Unauthorized: unknown repository".to_owned())));
        let json = serde_json::to_value(&output).unwrap();
        assert_eq!((&json["accepted"], json.get("test_result_id")), (&false.into(), None));
        assert_eq!(json["error"], "the service rejected the result: 401 Unauthorized: unknown repository");
        let summary = output.step_summary();
        assert!(
            summary.contains("\nThe service did **not accept** the result; the log of this step"),
            "{summary}"
        );
    }

    #[test]
    fn nothing_sent_has_one_reason() {
        let error = NothingSent::error("--url: expected an https URL".to_owned());
        insta::assert_snapshot!(serde_json::to_string(&error).unwrap(), @r#"{"accepted":false,"error":"--url: expected an https URL"}"#);
        let skipped = NothingSent::skipped("builds of forks get no secrets".to_owned());
        insta::assert_snapshot!(serde_json::to_string(&skipped).unwrap(), @r#"{"accepted":false,"skipped":"builds of forks get no secrets"}"#);
    }
}
