//! `badgesmith completions` and `badgesmith man`: what shells and readers know of the command.

use std::io;
use std::path::PathBuf;

use clap::Args;
use clap_complete::Shell;
use serde_json::Value;

use crate::failure::{Failure, help};
use crate::told::Told;

const COMPLETIONS: &str =
    "    badgesmith completions bash > ~/.local/share/bash-completion/completions/badgesmith
    badgesmith completions zsh > ~/.zfunc/_badgesmith
    badgesmith completions fish > ~/.config/fish/completions/badgesmith.fish";

const MAN: &str = "    badgesmith man | man -l -
    badgesmith man --directory ~/.local/share/man/man1";

/// Prints a script that has a shell complete the command.
#[derive(Debug, Args)]
#[command(after_long_help = help(COMPLETIONS))]
pub(crate) struct Completions {
    /// For which shell
    #[arg(value_enum)]
    shell: Shell,
}

/// Prints the manual page, or writes one for each command.
#[derive(Debug, Args)]
#[command(after_long_help = help(MAN))]
pub(crate) struct Man {
    /// Write a page for each command into this folder
    #[arg(long, value_name = "FOLDER")]
    directory: Option<PathBuf>,
}

impl Completions {
    pub(crate) fn run(&self, mut command: clap::Command) -> Told {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut command, "badgesmith", &mut script);
        Told::new(Value::Null, String::from_utf8_lossy(&script).trim_end())
    }
}

impl Man {
    pub(crate) fn run(&self, command: clap::Command) -> Result<Told, Failure> {
        let failed = |error: io::Error| Failure::Failed(format!("the manual cannot be written: {error}"));
        let Some(folder) = &self.directory else {
            let mut page = Vec::new();
            clap_mangen::Man::new(command).render(&mut page).map_err(failed)?;
            return Ok(Told::new(Value::Null, String::from_utf8_lossy(&page).trim_end()));
        };
        std::fs::create_dir_all(folder).map_err(failed)?;
        clap_mangen::generate_to(command, folder).map_err(failed)?;
        Ok(Told::new(Value::Null, ""))
    }
}
