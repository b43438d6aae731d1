//! The style `for-the-badge`.

use std::fmt;

use super::Drawing;
use super::markup::{self, Escaped, FONT_FAMILY, LABEL_COLOR, LOGO_SIZE};
use super::paint::Paint;
use super::text_width::Font;

const HEIGHT: u32 = 28;
const TEXT_MARGIN: f64 = 12.0;
const LOGO_MARGIN: u32 = 9;
/// The logo, and the gap to the text after it.
const LOGO_WIDTH: u32 = LOGO_SIZE + 6;
const SPACING: f64 = 1.25;

pub(super) fn draw(drawing: &Drawing<'_>) -> String {
    let Drawing { color, .. } = drawing;
    let (label, message) = (drawing.label.to_uppercase(), drawing.message.to_uppercase());
    let has_logo = drawing.logo.is_some();
    let label_width = text_width(Font::Verdana10, &label);
    let message_width = text_width(Font::Verdana10Bold, &message);
    let label_x = if has_logo { f64::from(LOGO_MARGIN + LOGO_WIDTH) } else { TEXT_MARGIN };
    let left_width = match (&drawing.label_color, has_logo) {
        _ if !label.is_empty() => label_x + label_width + TEXT_MARGIN,
        (Some(_), true) => f64::from(2 * LOGO_MARGIN + LOGO_SIZE),
        (None, _) | (_, false) => 0.0,
    };
    let has_left = left_width > 0.0;
    let logo_on_right = if has_logo && !has_left { f64::from(LOGO_WIDTH) } else { 0.0 };
    let message_x = left_width + TEXT_MARGIN + logo_on_right;
    let right_width = 2.0 * TEXT_MARGIN + logo_on_right + message_width;
    let label_color = drawing.label_color.clone().unwrap_or(Paint::hex(LABEL_COLOR.into()));

    let content = fmt::from_fn(|f| {
        f.write_str(r#"<g shape-rendering="crispEdges">"#)?;
        if has_left {
            write!(
                f,
                r#"<rect width="{left_width}" height="{HEIGHT}" fill="{label_color}"/><rect x="{left_width}""#
            )?;
        } else {
            f.write_str("<rect")?;
        }
        let logo = markup::logo(drawing.logo.as_deref(), LOGO_MARGIN, HEIGHT);
        write!(
            f,
            r##" width="{right_width}" height="{HEIGHT}" fill="{color}"/></g><g fill="#fff" text-anchor="middle" font-family="{FONT_FAMILY}" text-rendering="geometricPrecision" font-size="100">{logo}"##
        )?;
        if !label.is_empty() {
            text(f, &label, label_x, label_width, "", label_color.text_fill())?;
        }
        text(f, &message, message_x, message_width, r#" font-weight="bold""#, color.text_fill())?;
        f.write_str("</g>")
    });
    markup::image(left_width + right_width, HEIGHT, &label, &message, content)
}

/// The width in pixels. `badge-maker` adds the space between characters for each UTF-16 unit.
fn text_width(font: Font, text: &str) -> f64 {
    let spaces: u32 = text.chars().map(|c| if c.len_utf16() == 1 { 1 } else { 2 }).sum();
    f64::from(font.width(text)) + SPACING * f64::from(spaces)
}

/// `text` from `x` on, `width` pixels wide. Its units are tenths of a pixel.
fn text(f: &mut fmt::Formatter<'_>, text: &str, x: f64, width: f64, weight: &str, fill: &str) -> fmt::Result {
    let (text, x, length) = (Escaped(text), 10.0 * (x + 0.5 * width), 10.0 * width);
    write!(
        f,
        r#"<text transform="scale(.1)" x="{x}" y="175" textLength="{length}"{weight}{fill}>{text}</text>"#
    )
}
