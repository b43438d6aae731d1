//! `badgesmith completions`.

use clap::Args;
use clap_complete::Shell;

use crate::help;
use crate::output::Output;

const EXAMPLES: &str =
    "    badgesmith completions bash > ~/.local/share/bash-completion/completions/badgesmith
    badgesmith completions zsh > ~/.zfunc/_badgesmith
    badgesmith completions fish > ~/.config/fish/completions/badgesmith.fish";

#[derive(Debug, Args)]
#[command(after_long_help = help::with_examples(EXAMPLES))]
pub(crate) struct Options {
    /// Shell to generate the script for
    #[arg(value_enum)]
    shell: Shell,
}

impl Options {
    pub(crate) fn run(&self, mut command: clap::Command) -> Output {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut command, "badgesmith", &mut script);
        Output::new(&String::from_utf8_lossy(&script).trim_end())
    }
}
