//! Badges as SVG: the image that shields.io draws for the same badge, byte for byte.
//!
//! The reference is npm's `badge-maker` 6.0.0. `tests/svg` in this crate has what it draws, with the script that makes
//! these files, the widths of characters, and the logos.

mod flat;
mod for_the_badge;
mod logo;
mod markup;
mod paint;
mod social;
mod text_width;

use crate::badge::Badge;
use flat::Flat;
use logo::Logo;
use markup::{is_white_space, is_xml};
use paint::Paint;

/// How a badge is drawn: the parameters `style`, `label`, `labelColor`, `color`, `logo` and `logoColor` of shields.io.
///
/// ```
/// use badgesmith_domain::badge::{Badge, Subject};
/// use badgesmith_domain::svg::{self, Style};
///
/// let style = Style::parse(|name| (name == "label").then_some("unit tests"));
/// let image = svg::draw(&Badge::no_results(), &style);
/// assert!(image.contains(r#"aria-label="unit tests: no results""#));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Style {
    template: Template,
    label: Option<String>,
    label_color: Option<Paint>,
    color: Option<Paint>,
    logo: LogoChoice,
    logo_color: Option<Paint>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Template {
    Flat(Flat),
    ForTheBadge,
    Social,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum LogoChoice {
    /// The logo of the badge, if it has one.
    OfBadge,
    Named(Logo),
    None,
}

impl Style {
    /// The names of the parameters.
    pub const PARAMETERS: [&str; 6] = ["color", "label", "labelColor", "logo", "logoColor", "style"];

    /// Parses the parameters. `get` returns the value of one. An unknown style is flat, an unknown color leaves the
    /// color of the badge, and an unknown logo is none.
    pub fn parse<'a>(get: impl Fn(&str) -> Option<&'a str>) -> Self {
        let paint = |name| get(name).and_then(Paint::parse);
        let template = match get("style") {
            Some("flat-square") => Template::Flat(Flat::Square),
            Some("plastic") => Template::Flat(Flat::Plastic),
            Some("for-the-badge") => Template::ForTheBadge,
            Some("social") => Template::Social,
            _ => Template::Flat(Flat::Round),
        };
        let logo = match get("logo") {
            None | Some("") => LogoChoice::OfBadge,
            Some(slug) => Logo::parse(slug).map_or(LogoChoice::None, LogoChoice::Named),
        };
        Self {
            template,
            label: get("label").map(|label| label.chars().filter(|c| is_xml(*c)).collect()),
            label_color: paint("labelColor"),
            color: paint("color"),
            logo,
            logo_color: paint("logoColor"),
        }
    }
}

/// What a template draws.
#[derive(Debug)]
struct Drawing<'a> {
    /// Empty for a badge without a label.
    label: &'a str,
    message: &'a str,
    label_color: Option<Paint>,
    color: Paint,
    /// The URI of the logo, with its data.
    logo: Option<String>,
}

/// Draws `badge`. The colors of an error are its own.
pub fn draw(badge: &Badge, style: &Style) -> String {
    let chosen = |paint: &Option<Paint>| paint.clone().filter(|_| !badge.is_error());
    let logo = match style.logo {
        LogoChoice::OfBadge => badge.named_logo().and_then(Logo::parse),
        LogoChoice::Named(logo) => Some(logo),
        LogoChoice::None => None,
    };
    let is_social = style.template == Template::Social;
    let drawing = Drawing {
        label: style.label.as_deref().unwrap_or(badge.label()).trim_matches(is_white_space),
        message: badge.message(),
        label_color: chosen(&style.label_color),
        color: chosen(&style.color).unwrap_or(badge.color().into()),
        logo: logo.map(|logo| logo.data_uri(style.logo_color.as_ref(), is_social)),
    };
    match style.template {
        Template::Flat(flat) => flat.draw(&drawing),
        Template::ForTheBadge => for_the_badge::draw(&drawing),
        Template::Social => social::draw(&drawing),
    }
}
