//! Access to the variables and files of a job.

use std::path::Path;
use std::str::FromStr;

use badgesmith_domain::ids::Repository;

use crate::run::{MissingReason, parse};

pub(crate) struct Environment<'a> {
    pub(crate) variable: &'a dyn Fn(&str) -> Option<String>,
    pub(crate) read_file: &'a dyn Fn(&Path) -> Option<String>,
}

impl Environment<'_> {
    /// The value of a variable. An empty one counts as unset: several CI systems write absent values that way.
    pub(crate) fn get(&self, name: &str) -> Option<String> {
        (self.variable)(name).filter(|value| !value.is_empty())
    }

    /// The value of a required variable.
    pub(crate) fn require(&self, name: &'static str) -> Result<String, MissingReason> {
        self.get(name).ok_or(MissingReason::Unset(name))
    }

    /// The value of an optional variable; None if it is invalid.
    pub(crate) fn parse<T: FromStr>(&self, name: &str) -> Option<T> {
        self.get(name)?.parse().ok()
    }

    /// Whether a variable is `true`, case-insensitively; Azure Pipelines writes `True`.
    pub(crate) fn is_true(&self, name: &str) -> bool {
        self.get(name).is_some_and(|value| value.eq_ignore_ascii_case("true"))
    }

    /// The content of a file that a variable names.
    pub(crate) fn read(&self, path: &str) -> Option<String> {
        (self.read_file)(Path::new(path))
    }

    /// The repository in a required variable.
    pub(crate) fn repository(&self, name: &'static str) -> Result<Repository, MissingReason> {
        self.require(name).and_then(parse)
    }
}
