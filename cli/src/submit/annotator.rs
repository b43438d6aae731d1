//! Messages for the log of a CI job.

use crate::terminal;

/// Writes messages to stderr; in GitHub Actions as annotations, which show on the page of the run:
/// <https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-commands#setting-an-error-message>
pub(crate) struct Annotator {
    pub(crate) github_actions: bool,
}

impl Annotator {
    /// Prints to stdout. A closed pipe is a warning, because the submission itself may have succeeded.
    pub(crate) fn print(&self, text: &str) {
        if let Err(error) = terminal::print(text) {
            self.warning(&format!("failed to write to stdout: {error}"));
        }
    }

    pub(crate) fn error(&self, message: &str) {
        self.annotate("error", message);
    }

    pub(crate) fn warning(&self, message: &str) {
        self.annotate("warning", message);
    }

    pub(crate) fn notice(&self, message: &str) {
        self.annotate("notice", message);
    }

    fn annotate(&self, level: &str, message: &str) {
        if self.github_actions {
            // A line break or a percent sign would end or change the command.
            let escaped = message.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A");
            terminal::note(&format!("::{level} title=BadgeSmith::{escaped}"));
        } else {
            terminal::note(&format!("{level}: {message}"));
        }
    }
}
