//! What becomes of a result, for people, for scripts, and for later steps of a GitHub Actions job.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::path::PathBuf;

use serde::Serialize;

use super::address::BadgeAddress;
use super::result::RunResult;
use super::send::{Accepted, SendError};

/// All that there is to say of a submission; what `--json` prints.
#[derive(Debug, Serialize)]
pub(crate) struct Announcement {
    /// Whether the result is safe with the service.
    accepted: bool,
    /// The service's name for the result, if it was accepted.
    #[serde(skip_serializing_if = "Option::is_none")]
    test_result_id: Option<String>,
    /// Why it was not accepted.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    repository: String,
    platform: &'static str,
    branch: String,
    passed: u32,
    failed: u32,
    skipped: u32,
    total: u32,
    #[serde(flatten)]
    address: BadgeAddress,
    /// The badge, linked.
    pub(crate) markdown: String,
}

/// What a later step, or a person, is told through a file that the runner names:
/// <https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-commands>
#[derive(Debug, Clone, Default)]
pub(crate) struct RunnerFiles {
    /// `GITHUB_OUTPUT`
    pub(crate) output: Option<PathBuf>,
    /// `GITHUB_STEP_SUMMARY`
    pub(crate) step_summary: Option<PathBuf>,
}

impl Announcement {
    /// Of a result that was accepted, or not.
    pub(crate) fn new(
        result: &RunResult,
        address: BadgeAddress,
        outcome: &Result<Accepted, SendError>,
    ) -> Self {
        Self {
            accepted: outcome.is_ok(),
            test_result_id: outcome.as_ref().ok().map(|accepted| accepted.test_result_id.clone()),
            error: outcome.as_ref().err().map(ToString::to_string),
            repository: result.repository.to_string(),
            platform: result.platform.as_str(),
            branch: result.branch.to_string(),
            passed: result.counts.passed(),
            failed: result.counts.failed(),
            skipped: result.counts.skipped(),
            total: result.counts.total(),
            markdown: address.markdown(),
            address,
        }
    }

    /// Tells later steps of the job, and whoever looks at it.
    ///
    /// # Errors
    /// When a file of the runner cannot be written.
    pub(crate) fn write(&self, files: &RunnerFiles) -> io::Result<()> {
        if let Some(path) = &files.output {
            append(path, &self.outputs())?;
        }
        if let Some(path) = &files.step_summary {
            append(path, &self.summary())?;
        }
        Ok(())
    }

    /// `name=value` lines. No value has a line break: numbers, and addresses that are percent-encoded.
    fn outputs(&self) -> String {
        let Self { passed, failed, skipped, total, address, markdown, .. } = self;
        let id = self.test_result_id.as_deref().unwrap_or_default();
        format!(
            "passed={passed}\nfailed={failed}\nskipped={skipped}\ntotal={total}\nbadge-url={}\nmarkdown={markdown}\n\
             test-result-id={id}\n",
            address.badge_url
        )
    }

    /// A summary in Markdown. The branch is a stranger's text: inside a code span, of which no backtick gets out.
    fn summary(&self) -> String {
        let Self { passed, failed, skipped, total, markdown, .. } = self;
        let state = if self.accepted {
            ""
        } else {
            "\nThe result was **not accepted** by the service; the log of this step says why.\n"
        };
        format!(
            "### Tests of `{}` on {}\n\n| passed | failed | skipped | total |\n|---|---|---|---|\n\
             | {passed} | {failed} | {skipped} | {total} |\n{state}\n{markdown}\n\n```markdown\n{markdown}\n```\n",
            self.branch.replace(['`', '\r', '\n'], "'"),
            self.platform,
        )
    }
}

fn append(path: &PathBuf, text: &str) -> io::Result<()> {
    OpenOptions::new().create(true).append(true).open(path)?.write_all(text.as_bytes())
}
