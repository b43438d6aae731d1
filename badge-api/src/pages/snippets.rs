//! The snippets that put a badge into a README.

use badgesmith_api::route::{branch_suffix, segment};
use badgesmith_domain::ids::{Branch, Repository};
use maud::{Markup, PreEscaped, html};

use super::layout::fit;
use super::site::Site;

/// The share of the page of the snippets, in bytes. Only the name of a branch or package can exceed it.
pub(super) const BYTES_MAX: usize = 5000;
/// The markup around the snippets, in bytes.
const FRAME_BYTES: usize = 600;

/// A badge in a README.
pub(super) struct Badge<'a> {
    /// The text in place of the image.
    pub(super) text: &'a str,
    /// The path below `/svg` and `/badges`, with its query.
    pub(super) path: &'a str,
    /// The URL that a click on the badge leads to.
    pub(super) link: &'a str,
}

/// The badge of a branch. At most `bytes_left` of the page are left for it.
pub(super) fn tests(repository: &Repository, branch: &Branch, bytes_left: usize, site: &Site<'_>) -> Markup {
    let target = format!("tests/all/{repository}{}", branch_suffix(branch.as_str()));
    let link =
        site.url(&format!("/redirect/test-results/all/{repository}{}", branch_suffix(branch.as_str())));
    draw(&Badge { text: "Tests", path: &target, link: &link }, bytes_left.saturating_sub(FRAME_BYTES), site)
}

/// The snippets that fit into `bytes_max` of the page.
pub(super) fn draw(badge: &Badge<'_>, bytes_max: usize, site: &Site<'_>) -> Markup {
    let Badge { text, path, link } = *badge;
    let image = site.url(&format!("/svg/{path}"));
    let endpoint = segment(&site.url(&format!("/badges/{path}")));
    let shields = format!("https://img.shields.io/endpoint?url={endpoint}");
    let own = formats(text, &image, link).into_iter();
    let of_shields = formats(text, &shields, link)
        .into_iter()
        .map(|(name, snippet)| (format!("{name}, shields.io"), snippet));
    let own = fit(bytes_max.min(BYTES_MAX / 2), own.map(|(name, snippet)| field(name, &snippet)));
    let bytes_max = bytes_max.saturating_sub(own.markup.0.len()).min(BYTES_MAX / 2);
    let of_shields = fit(bytes_max, of_shields.map(|(name, snippet)| field(&name, &snippet)));
    html! {
        section {
            h2 #badge { "Badge" }
            p { img.badge src={ "/svg/" (path) } alt={ "Badge: " (text) } height="20"; }
            @if !site.is_known() {
                p.note { "These URLs are relative. The operator can set " code { "PublicUrl" } " for URLs that work on other sites." }
            }
            div.snippets { (own.markup) }
            @if site.is_https() && of_shields.shown > 0 {
                details { summary { "Images from shields.io" } div.snippets { (of_shields.markup) } }
            }
            @if own.shown == 0 { p.note { "The name is too long for a snippet." } }
        }
    }
}

/// The snippet of each format. URLs are percent-encoded, and texts have no special characters.
fn formats(text: &str, image: &str, link: &str) -> [(&'static str, String); 5] {
    [
        ("Markdown", format!("[![{text}]({image})]({link})")),
        ("HTML", format!(r#"<a href="{link}"><img src="{image}" alt="{text}"></a>"#)),
        ("reStructuredText", format!(".. image:: {image}\n   :target: {link}\n   :alt: {text}")),
        ("AsciiDoc", format!("image:{image}[{text},link=\"{link}\"]")),
        ("URL", image.to_owned()),
    ]
}

fn field(name: &str, snippet: &str) -> Markup {
    let rows = snippet.lines().count();
    html! {
        label { span { (name) } textarea readonly rows=(rows) spellcheck="false" { (PreEscaped("\n")) (snippet) } }
    }
}
