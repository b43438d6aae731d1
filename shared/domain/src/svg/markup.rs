//! The markup that all templates have.

use std::fmt::{self, Display, Write};

pub(super) const FONT_FAMILY: &str = "Verdana,Geneva,DejaVu Sans,sans-serif";
/// The color of a label without one of its own.
pub(super) const LABEL_COLOR: &str = "#555";
/// The width and height of a logo, in pixels.
pub(super) const LOGO_SIZE: u32 = 14;

/// Text whose special characters are escaped.
#[derive(Debug, Clone, Copy)]
pub(super) struct Escaped<'a>(pub(super) &'a str);

impl Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for part in self.0.split_inclusive(['&', '<', '>', '"', '\'']) {
            let entity = match part.chars().next_back() {
                Some('&') => "&amp;",
                Some('<') => "&lt;",
                Some('>') => "&gt;",
                Some('"') => "&quot;",
                Some('\'') => "&apos;",
                _ => {
                    f.write_str(part)?;
                    continue;
                }
            };
            f.write_str(part.get(..part.len() - 1).unwrap_or_default())?;
            f.write_str(entity)?;
        }
        Ok(())
    }
}

/// The whole image. `content` is markup.
pub(super) fn image(
    width: impl Display,
    height: u32,
    label: &str,
    message: &str,
    content: impl Display,
) -> String {
    let (label, message) = (Escaped(label), Escaped(message));
    let separator = if label.0.is_empty() { "" } else { ": " };
    let mut image = String::with_capacity(2048);
    // Writing to a string does not fail.
    let _ = write!(
        image,
        r#"<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" role="img" aria-label="{label}{separator}{message}"><title>{label}{separator}{message}</title>{content}</svg>"#
    );
    image
}

/// The logo at `x`, centered in `height`; nothing without one.
pub(super) fn logo(uri: Option<&str>, x: u32, height: u32) -> impl Display {
    let y = height.saturating_sub(LOGO_SIZE) / 2;
    fmt::from_fn(move |f| match uri {
        Some(uri) => {
            write!(f, r#"<image x="{x}" y="{y}" width="{LOGO_SIZE}" height="{LOGO_SIZE}" href="{uri}"/>"#)
        }
        None => Ok(()),
    })
}

/// Whether XML 1.0 allows the character: <https://www.w3.org/TR/xml/#charsets>.
pub(super) fn is_xml(c: char) -> bool {
    matches!(c, '\t' | '\n' | '\r' | ' '..='\u{fffd}' | '\u{10000}'..)
}

/// The white space of JavaScript's `trim()`.
pub(super) fn is_white_space(c: char) -> bool {
    c == '\u{feff}' || (c.is_whitespace() && c != '\u{85}')
}
