//! The command line.

use std::path::PathBuf;

use badgesmith_shared::name::Repository;
use badgesmith_shared::signature::SecretKeys;
use clap::Parser;
use serde_json::json;

use crate::aws::Storage;

/// Run the whole BadgeSmith pipeline on this machine.
///
/// Signed test results go in over HTTP, badges come out. Nothing else is needed: no account, no Docker. Logs go
/// to stderr; stdout has `listening on http://127.0.0.1:PORT` as its first line, once requests are answered.
#[derive(Debug, Parser)]
#[command(name = "local", bin_name = "cargo run --", version, after_help = EXAMPLES)]
pub struct Options {
    /// Port to listen on, on 127.0.0.1; 0 picks a free one
    #[arg(long, default_value_t = 9474)]
    pub port: u16,

    /// Directory for tables, queues and secrets; delete it to start over
    #[arg(long, value_name = "DIR", default_value = ".badgesmith", conflicts_with = "ephemeral")]
    pub data_dir: PathBuf,

    /// Keep everything in memory
    #[arg(long)]
    pub ephemeral: bool,

    /// Make no demo repository
    #[arg(long)]
    pub no_demo: bool,

    /// Register a repository's HMAC key, the string of 16 characters or more that its client signs with (may be
    /// repeated). It is kept in the data directory; a key that it replaces counts for 24 hours more
    // Read by `Options::secrets`: clap would print a malformed one, key and all.
    #[arg(long = "secret", value_name = "OWNER/REPO=KEY")]
    secret: Vec<String>,

    /// Log no requests and messages, only what went wrong
    #[arg(long)]
    pub quiet: bool,
}

const EXAMPLES: &str = "\
Examples:
  cargo run
      Start on port 9474, with a demo repository
  cargo run -- --port 0 --ephemeral --no-demo --secret acme/kit=0123456789abcdef
      Start on a free port with one repository, and leave nothing behind

Exit codes: 0 stopped by Ctrl-C or SIGTERM, all accepted results processed; 1 stopped by a second one before
that, or failed; 2 could not start as asked";

impl Options {
    /// Where the data goes.
    pub fn storage(&self) -> Storage {
        if self.ephemeral { Storage::Memory } else { Storage::Directory(self.data_dir.clone()) }
    }

    /// The keys to register.
    ///
    /// # Errors
    /// A sentence that says what was expected, and shows no key.
    pub fn secrets(&self) -> Result<Vec<Secret>, String> {
        let secrets = self.secret.iter().map(|text| {
            let parsed =
                text.split_once('=').and_then(|(repository, key)| Some((repository.parse().ok()?, key)));
            let (repository, key) = parsed.ok_or("expected OWNER/REPO=KEY")?;
            Secret::new(repository, key)
        });
        secrets
            .collect::<Result<_, String>>()
            .map_err(|error| format!("--secret: {error}, for example --secret acme/kit=0123456789abcdef"))
    }
}

/// A repository and the value of its secret.
#[derive(Clone)]
pub struct Secret {
    /// Whose.
    pub repository: Repository,
    /// The secret as Secrets Manager keeps it.
    pub value: String,
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Secret").field("repository", &self.repository).finish_non_exhaustive()
    }
}

impl Secret {
    /// The secret of `repository` with this key.
    ///
    /// # Errors
    /// A sentence that says what is wrong with the key, and does not show it.
    pub fn new(repository: Repository, hmac_key: &str) -> Result<Self, String> {
        let value = json!({ "hmac_key": hmac_key, "type": "repo_hmac" }).to_string();
        SecretKeys::parse(&value).map_err(|error| error.to_string())?;
        Ok(Self { repository, value })
    }
}
