//! The output of `badgesmith feed`.

use std::fmt;

use badgesmith_domain::package::{FeedName, PackageName};
use serde::Serialize;

use crate::table::Table;

#[derive(Serialize)]
pub(super) struct FeedDescription {
    pub(super) name: FeedName,
    pub(super) url: String,
    /// `None` if the feed needs no credentials.
    pub(super) secret: Option<String>,
    /// The packages that are shown, if the feed needs credentials.
    pub(super) allowed: Vec<String>,
}

#[derive(Serialize)]
pub(super) struct FeedList {
    pub(super) feeds: Vec<FeedDescription>,
}

#[derive(Serialize)]
pub(super) struct ChangedFeed {
    pub(super) feed: FeedName,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) package: Option<PackageName>,
    #[serde(skip)]
    pub(super) done: &'static str,
}

impl fmt::Display for ChangedFeed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { feed, package, done } = self;
        match package {
            Some(package) => write!(f, "{done} {package} of the feed {feed}"),
            None => write!(f, "{done} the feed {feed}"),
        }
    }
}

impl fmt::Display for FeedList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.feeds.is_empty() {
            return f.write_str("no feeds");
        }
        let mut table = Table::new(&["NAME", "URL", "CREDENTIALS", "ALLOWED"]);
        for feed in &self.feeds {
            let secret = feed.secret.clone().unwrap_or_else(|| "-".to_owned());
            let allowed = if feed.secret.is_some() { feed.allowed.join(" ") } else { "all".to_owned() };
            table.row([feed.name.to_string(), feed.url.clone(), secret, allowed]);
        }
        table.fmt(f)
    }
}
