//! `badgesmith man`.

use std::io;
use std::path::PathBuf;

use clap::Args;

use crate::error::CliError;
use crate::help;
use crate::output::Output;

const EXAMPLES: &str = "    badgesmith man | man -l -
    badgesmith man --directory ~/.local/share/man/man1";

#[derive(Debug, Args)]
#[command(after_long_help = help::with_examples(EXAMPLES))]
pub(crate) struct Options {
    /// Directory to write a page for each command to
    #[arg(long, value_name = "DIR")]
    directory: Option<PathBuf>,
}

impl Options {
    pub(crate) fn run(&self, command: clap::Command) -> Result<Output, CliError> {
        self.pages(command)
            .map(|page| Output::new(&page.trim_end()))
            .map_err(|error| CliError::Failed(format!("failed to write the manual: {error}")))
    }

    /// The page for stdout, empty if the pages are files.
    fn pages(&self, command: clap::Command) -> io::Result<String> {
        let mut page = Vec::new();
        match &self.directory {
            Some(folder) => {
                std::fs::create_dir_all(folder)?;
                clap_mangen::generate_to(command, folder)?;
            }
            None => clap_mangen::Man::new(command).render(&mut page)?,
        }
        Ok(String::from_utf8_lossy(&page).into_owned())
    }
}
