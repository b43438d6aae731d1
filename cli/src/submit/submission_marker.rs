//! Marks a job that has submitted a result for the suite named after it, because a second result would replace the
//! first.

use std::env::temp_dir;
use std::fs::OpenOptions;
use std::io;
use std::path::PathBuf;

use badgesmith_aws::env;
use badgesmith_domain::test_result::TestRun;
use ci_env::CiRun;
use sha2::{Digest, Sha256};

use super::options::Options;

/// An empty file in the job's temporary directory, or in the machine's if the CI system has none.
#[derive(Debug)]
pub(crate) struct SubmissionMarker(PathBuf);

impl SubmissionMarker {
    /// The marker of the slot of `run`. `None` if an option names the suite, or if nothing identifies the job.
    pub(crate) fn new(options: &Options, ci_run: &CiRun, run: &TestRun) -> Option<Self> {
        let TestRun { repository, platform, branch, suite, .. } = run;
        let (None, Some(job), Some(suite)) = (&options.suite, &ci_run.job_id, suite) else { return None };
        let slot =
            [job, &repository.to_string(), platform.as_str(), branch.as_str(), suite.as_str()].join("\n");
        // Both are cleared between jobs: https://docs.github.com/en/actions/reference/workflows-and-actions/variables,
        // https://learn.microsoft.com/azure/devops/pipelines/build/variables
        let of_job = env::optional("RUNNER_TEMP").or_else(|| env::optional("AGENT_TEMPDIRECTORY"));
        let directory = of_job.map_or_else(temp_dir, PathBuf::from);
        Some(Self(directory.join(format!("badgesmith-{}", hex::encode(Sha256::digest(slot))))))
    }

    pub(crate) fn exists(&self) -> bool {
        self.0.exists()
    }

    /// Creates the file without following a symbolic link that another user may have put there.
    pub(crate) fn create(&self) -> io::Result<()> {
        OpenOptions::new().write(true).create_new(true).open(&self.0).map(drop)
    }
}
