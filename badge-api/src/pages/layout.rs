//! What all pages have in common.

use badgesmith_domain::badge::{Badge, Color};
use badgesmith_domain::test_result::HttpsUrl;
use badgesmith_domain::timestamp::Timestamp;
use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::assets;

/// The maximum length of a link to a run, in bytes. Those of CI systems have about 100. Longer ones would use up the
/// share of a list.
const LINK_BYTES_MAX: usize = 500;
/// From this age on, a time is shown as a date.
const DATE_FROM_DAYS: u64 = 60;

/// A whole page. `canonical` is its absolute URL, if the public address is known.
pub(super) fn document(title: &str, canonical: Option<&str>, content: &Markup) -> String {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { (title) " · BadgeSmith" }
                link rel="stylesheet" href=(assets::style_path());
                link rel="icon" href=(assets::icon_path());
                @if let Some(url) = canonical { link rel="canonical" href=(url); }
            }
            body {
                a.skip href="#content" { "Skip to content" }
                header.site { a.home href="/" { img src=(assets::icon_path()) alt="" width="24" height="24"; "BadgeSmith" } }
                main #content { (content) }
                footer.site { p { "Badges for test results and package versions, served by " a href="/" { "BadgeSmith" } "." } }
            }
        }
    }
    .into_string()
}

/// A page with a heading and a sentence.
pub(super) fn message(title: &str, text: &str) -> String {
    let content = html! {
        div.hero { h1 { bdi { (title) } } p.lead { (text) } p { a href="/" { "Find a badge" } } }
    };
    document(title, None, &content)
}

/// The page while DynamoDB fails.
pub(super) fn unavailable() -> String {
    message("Temporarily unavailable", "The database does not respond. Reload this page in a moment.")
}

/// The message of a badge, with its color.
pub(super) fn chip(badge: &Badge) -> Markup {
    html! { span class={ "chip " (tone(badge.color())) } { (badge.message()) } }
}

/// The class of a color.
pub(super) fn tone(color: Color) -> &'static str {
    match color {
        Color::BrightGreen | Color::Green => "green",
        Color::Blue => "blue",
        Color::Orange => "orange",
        Color::Red => "red",
        Color::LightGrey => "grey",
    }
}

/// How long ago `at` was, or its date.
pub(super) fn age(at: Timestamp, now: Timestamp) -> Markup {
    let text = at.to_string();
    let minutes = now.since(at).as_secs() / 60;
    let (hours, days) = (minutes / 60, minutes / (24 * 60));
    html! {
        time datetime={ (text.get(..16).unwrap_or_default()) "Z" } {
            @if days >= DATE_FROM_DAYS { (date(at)) }
            @else if days >= 2 { (days) " days ago" }
            @else if hours >= 2 { (hours) " h ago" }
            @else if minutes >= 1 { (minutes) " min ago" }
            @else { "just now" }
        }
    }
}

/// The date of a time in UTC, `2025-01-15`.
pub(super) fn date(at: Timestamp) -> String {
    at.to_string().get(..10).unwrap_or_default().to_owned()
}

/// A link to a run, which is on another site.
pub(super) fn run_link(url: Option<&HttpsUrl>, text: &Markup) -> Markup {
    match url.map(HttpsUrl::encoded).filter(|url| url.len() <= LINK_BYTES_MAX) {
        Some(url) => html! { a href=(url) rel="nofollow noopener" { (text) } },
        None => text.clone(),
    }
}

/// `1 run`, `2 runs`.
pub(super) fn count(number: usize, singular: &str, plural: &str) -> String {
    format!("{number} {}", if number == 1 { singular } else { plural })
}

/// Rows of a list, as many as fit.
pub(super) struct Rows {
    pub(super) markup: Markup,
    /// How many rows are in the markup.
    pub(super) shown: usize,
}

/// The first of `rows` whose markup has at most `bytes_max` bytes together.
pub(super) fn fit(bytes_max: usize, rows: impl Iterator<Item = Markup>) -> Rows {
    let mut text = String::new();
    let mut shown = 0;
    for PreEscaped(row) in rows {
        if text.len() + row.len() > bytes_max {
            break;
        }
        text.push_str(&row);
        shown += 1;
    }
    Rows { markup: PreEscaped(text), shown }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn an_age_is_rounded_down() {
        let at = Timestamp::from_unix_milliseconds(1_700_000_000_000);
        let text = |minutes| {
            let PreEscaped(markup) = age(at, at.plus(Duration::from_mins(minutes)));
            markup.split(['<', '>']).nth(2).unwrap().to_owned()
        };
        let ages = [0, 1, 119, 120, 2879, 2880, 86_399, 86_400].map(text);
        let expected = [
            "just now",
            "1 min ago",
            "119 min ago",
            "2 h ago",
            "47 h ago",
            "2 days ago",
            "59 days ago",
            "2023-11-14",
        ];
        assert_eq!(ages, expected);
        assert!(age(at, at).into_string().starts_with("<time datetime=\"2023-11-14T22:13Z\">"));
    }
}
