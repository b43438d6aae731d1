//! The styles `flat`, `flat-square` and `plastic`.

use std::fmt::{self, Display};

use super::Drawing;
use super::markup::{self, Escaped, FONT_FAMILY, LABEL_COLOR, LOGO_SIZE};
use super::paint::Paint;
use super::text_width::Font;

const PADDING: u32 = 5;
const BLUR: &str = r#"<filter id="blur"><feGaussianBlur stdDeviation="16"/></filter>"#;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Flat {
    Round,
    Square,
    Plastic,
}

/// The positions and widths of a badge, in pixels.
struct Layout {
    left_width: u32,
    right_width: u32,
    label_margin: u32,
    label_width: u32,
    message_margin: u32,
    message_width: u32,
}

impl Layout {
    fn new(drawing: &Drawing<'_>) -> Self {
        let has_text = !drawing.label.is_empty();
        let has_label = has_text || drawing.label_color.is_some();
        let has_logo = drawing.logo.is_some();
        let logo_width = match (has_logo, has_text) {
            (true, true) => LOGO_SIZE + 3,
            (true, false) => LOGO_SIZE,
            (false, _) => 0,
        };
        let label_width = if has_text { Font::Verdana11.odd_width(drawing.label) } else { 0 };
        let message_width = Font::Verdana11.odd_width(drawing.message);
        let left_width = if has_label { label_width + 2 * PADDING + logo_width } else { 0 };
        // A message without a label begins after the logo.
        let (message_margin, logo_on_right) = match (has_label, has_logo) {
            (true, _) => (left_width - 1, 0),
            (false, true) => (logo_width + PADDING - 1, logo_width + PADDING - 1),
            (false, false) => (0, 0),
        };
        let right_width = message_width + 2 * PADDING + logo_on_right;
        Self {
            left_width,
            right_width,
            label_margin: logo_width + 1,
            label_width,
            message_margin,
            message_width,
        }
    }
}

impl Flat {
    pub(super) fn draw(self, drawing: &Drawing<'_>) -> String {
        let Drawing { label, message, color, .. } = drawing;
        let layout = Layout::new(drawing);
        let has_left = !label.is_empty() || drawing.logo.is_some() || drawing.label_color.is_some();
        let label_color = match &drawing.label_color {
            Some(paint) => paint.clone(),
            None if has_left => Paint::hex(LABEL_COLOR.into()),
            None => color.clone(),
        };
        let Layout { left_width, right_width, .. } = layout;
        let width = left_width + right_width;
        let height = if self == Self::Plastic { 18 } else { 20 };
        let content = fmt::from_fn(|f| {
            let halves = fmt::from_fn(|f| {
                write!(
                    f,
                    r#"<rect width="{left_width}" height="{height}" fill="{label_color}"/><rect x="{left_width}" width="{right_width}" height="{height}" fill="{color}"/>"#
                )
            });
            self.background(f, width, height, &halves)?;
            let logo = markup::logo(drawing.logo.as_deref(), PADDING, height);
            write!(
                f,
                r##"<g fill="#fff" text-anchor="middle" font-family="{FONT_FAMILY}" text-rendering="geometricPrecision" font-size="110">{logo}"##
            )?;
            if !label.is_empty() {
                self.text(f, label, &label_color, layout.label_margin, layout.label_width)?;
            }
            self.text(f, message, color, layout.message_margin, layout.message_width)?;
            f.write_str("</g>")
        });
        markup::image(width, height, label, message, content)
    }

    fn background(
        self,
        f: &mut fmt::Formatter<'_>,
        width: u32,
        height: u32,
        halves: &impl Display,
    ) -> fmt::Result {
        let (stops, radius) = match self {
            Self::Square => return write!(f, r#"<g shape-rendering="crispEdges">{halves}</g>"#),
            Self::Round => (
                r##"<stop offset="0" stop-color="#bbb" stop-opacity=".1"/><stop offset="1" stop-opacity=".1"/>"##,
                3,
            ),
            Self::Plastic => (
                r##"<stop offset="0" stop-color="#fff" stop-opacity=".7"/><stop offset=".1" stop-color="#aaa" stop-opacity=".1"/><stop offset=".9" stop-color="#000" stop-opacity=".3"/><stop offset="1" stop-color="#000" stop-opacity=".5"/>"##,
                4,
            ),
        };
        write!(
            f,
            r#"{BLUR}<linearGradient id="s" x2="0" y2="100%">{stops}</linearGradient><clipPath id="r"><rect width="{width}" height="{height}" rx="{radius}"/></clipPath><g clip-path="url(#r)">{halves}<rect width="{width}" height="{height}" fill="url(#s)"/></g>"#
        )
    }

    /// `text` on `paint`, `width` pixels wide. Its units are tenths of a pixel.
    fn text(
        self,
        f: &mut fmt::Formatter<'_>,
        text: &str,
        paint: &Paint,
        margin: u32,
        width: u32,
    ) -> fmt::Result {
        let (text, fill) = (Escaped(text), paint.text_fill());
        let x = 10 * (margin + PADDING) + 5 * width;
        let length = 10 * width;
        let y = match self {
            Self::Square => {
                return write!(
                    f,
                    r#"<text x="{x}" y="140" textLength="{length}" transform="scale(.1)"{fill}>{text}</text>"#
                );
            }
            Self::Round => 140,
            Self::Plastic => 130,
        };
        let shadow_y = y + 10;
        let shadow = if paint.has_dark_text() { "#ccc" } else { "#010101" };
        write!(
            f,
            r#"<g transform="scale(.1)"><g aria-hidden="true" fill="{shadow}"><text x="{x}" y="{shadow_y}" fill-opacity=".8" filter="url(#blur)" textLength="{length}">{text}</text><text x="{x}" y="{shadow_y}" fill-opacity=".3" textLength="{length}">{text}</text></g><text x="{x}" y="{y}" textLength="{length}"{fill}>{text}</text></g>"#
        )
    }
}
