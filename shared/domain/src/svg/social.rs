//! The style `social`.

use std::fmt;

use super::Drawing;
use super::markup::{self, Escaped, LOGO_SIZE};
use super::text_width::Font;

const HEIGHT: u32 = 20;
const INNER_HEIGHT: u32 = 19;
const LABEL_PADDING: u32 = 5;
const MESSAGE_PADDING: u32 = 4;
/// The distance between the label and the bubble of the message.
const GUTTER: u32 = 6;

pub(super) fn draw(drawing: &Drawing<'_>) -> String {
    let (label, message) = (capitalize(drawing.label), drawing.message);
    let logo_width = match (&drawing.logo, label.is_empty()) {
        (Some(_), false) => LOGO_SIZE + 3,
        (Some(_), true) => LOGO_SIZE,
        (None, _) => 0,
    };
    let label_width = Font::Helvetica11Bold.odd_width(&label);
    let message_width = Font::Helvetica11Bold.odd_width(message);
    let left_width = label_width + logo_width + 2 * LABEL_PADDING;
    let right_width = message_width + 2 * MESSAGE_PADDING;
    let bubble_x = left_width + GUTTER;
    // In tenths of a pixel.
    let label_x = 10 * (logo_width + LABEL_PADDING) + 5 * label_width;
    let message_x = 10 * bubble_x + 5 * right_width;
    let (label_length, message_length) = (10 * label_width, 10 * message_width);

    let content = fmt::from_fn(|f| {
        let logo = markup::logo(drawing.logo.as_deref(), LABEL_PADDING, HEIGHT);
        let (label, message) = (Escaped(&label), Escaped(message));
        f.write_str(concat!(
            "<style>a:hover #llink{fill:url(#b);stroke:#ccc}a:hover #rlink{fill:#4183c4}</style>",
            r##"<linearGradient id="a" x2="0" y2="100%"><stop offset="0" stop-color="#fcfcfc" stop-opacity="0"/><stop offset="1" stop-opacity=".1"/></linearGradient>"##,
            r##"<linearGradient id="b" x2="0" y2="100%"><stop offset="0" stop-color="#ccc" stop-opacity=".1"/><stop offset="1" stop-opacity=".1"/></linearGradient>"##,
        ))?;
        write!(
            f,
            r##"<g stroke="#d5d5d5"><rect stroke="none" fill="#fcfcfc" x=".5" y=".5" width="{left_width}" height="{INNER_HEIGHT}" rx="2"/><rect x="{bubble_x}.5" y=".5" width="{right_width}" height="{INNER_HEIGHT}" rx="2" fill="#fafafa"/><rect x="{bubble_x}" y="7.5" width=".5" height="5" stroke="#fafafa"/><path d="M{bubble_x}.5 6.5 l-3 3v1 l3 3" fill="#fafafa"/></g>{logo}"##
        )?;
        write!(
            f,
            r##"<g aria-hidden="true" fill="#333" text-anchor="middle" font-family="Helvetica Neue,Helvetica,Arial,sans-serif" text-rendering="geometricPrecision" font-weight="700" font-size="110px" line-height="14px"><rect id="llink" stroke="#d5d5d5" fill="url(#a)" x=".5" y=".5" width="{left_width}" height="{INNER_HEIGHT}" rx="2"/>"##
        )?;
        write!(
            f,
            r##"<text aria-hidden="true" x="{label_x}" y="150" fill="#fff" transform="scale(.1)" textLength="{label_length}">{label}</text><text x="{label_x}" y="140" transform="scale(.1)" textLength="{label_length}">{label}</text>"##
        )?;
        write!(
            f,
            r##"<text aria-hidden="true" x="{message_x}" y="150" fill="#fff" transform="scale(.1)" textLength="{message_length}">{message}</text><text id="rlink" x="{message_x}" y="140" transform="scale(.1)" textLength="{message_length}">{message}</text></g>"##
        )
    });
    markup::image(left_width + 1 + GUTTER + right_width, HEIGHT, &label, message, content)
}

/// The first letter in upper case. `badge-maker` changes it only within the Basic Multilingual Plane.
fn capitalize(text: &str) -> String {
    let mut chars = text.chars();
    match chars.next() {
        Some(first) if first.len_utf16() == 1 => first.to_uppercase().chain(chars).collect(),
        _ => text.to_owned(),
    }
}
