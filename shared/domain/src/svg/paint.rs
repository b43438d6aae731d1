//! Colors of SVG.

use std::borrow::Cow;
use std::fmt;

use crate::badge::Color;

const BRIGHT_GREEN: &str = "#4b0";
const GREEN: &str = "#67ac09";
const ORANGE: &str = "#ea7233";
const RED: &str = "#dd4343";
const BLUE: &str = "#007ec6";
const GREY: &str = "#555";
const LIGHT_GREY: &str = "#939393";

/// The names that shields.io gives its own colors. They take precedence over CSS.
const PALETTE: [(&str, &str); 16] = [
    ("brightgreen", BRIGHT_GREEN),
    ("green", GREEN),
    ("yellow", "#d8b800"),
    ("yellowgreen", "#95991a"),
    ("orange", ORANGE),
    ("red", RED),
    ("blue", BLUE),
    ("grey", GREY),
    ("lightgrey", LIGHT_GREY),
    ("gray", GREY),
    ("lightgray", LIGHT_GREY),
    ("critical", RED),
    ("important", ORANGE),
    ("success", BRIGHT_GREEN),
    ("informational", BLUE),
    ("inactive", LIGHT_GREY),
];

/// The names of CSS, each with its color: <https://www.w3.org/TR/css-color-4/#named-colors>.
const CSS: &str = include_str!("colors.txt");

/// A color of an SVG attribute: `#rgb`, `#rrggbb`, or a name of CSS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Paint {
    text: Cow<'static, str>,
    brightness: Brightness,
}

/// The perceived brightness of a color, from 0 to 255,000.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Brightness(u32);

impl Brightness {
    /// The brightest color that still has light text. It is 0.695, which `badge-maker` rounds to 0.69.
    const LIGHT_TEXT_MAX: Self = Self(177_225);
    /// The brightest that rounds to 0.4. Such a logo is too dark for a label.
    pub(super) const DARK_MAX: Self = Self(103_274);
    /// The darkest that rounds to 0.6. Such a logo is too light for the label of a social badge.
    pub(super) const LIGHT_MIN: Self = Self(151_725);
}

impl Paint {
    /// Parses a name in lower case, or three or six hexadecimal digits with or without a `#`.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let digits = text.strip_prefix('#').unwrap_or(text);
        let is_hex = matches!(digits.len(), 3 | 6) && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
        if is_hex {
            return Some(Self::hex(format!("#{}", digits.to_ascii_lowercase()).into()));
        }
        if let Some((_, hex)) = PALETTE.into_iter().find(|(name, _)| *name == text) {
            return Some(Self::hex(hex.into()));
        }
        let (name, hex) =
            CSS.lines().filter_map(|line| line.split_once(' ')).find(|(name, _)| *name == text)?;
        Some(Self { text: name.into(), ..Self::hex(hex.into()) })
    }

    /// `text` is `#rgb` or `#rrggbb`.
    pub(super) fn hex(text: Cow<'static, str>) -> Self {
        let digits = || text.chars().filter_map(|digit| digit.to_digit(16));
        let channels: Vec<u32> = match digits().count() {
            3 => digits().map(|digit| digit * 17).collect(),
            _ => digits()
                .step_by(2)
                .zip(digits().skip(1).step_by(2))
                .map(|(high, low)| high * 16 + low)
                .collect(),
        };
        let brightness = channels.iter().zip([299, 587, 114]).map(|(channel, weight)| channel * weight).sum();
        Self { text, brightness: Brightness(brightness) }
    }

    pub(super) fn brightness(&self) -> Brightness {
        self.brightness
    }

    /// Whether text on this color is dark.
    pub(super) fn has_dark_text(&self) -> bool {
        self.brightness > Brightness::LIGHT_TEXT_MAX
    }

    /// The attribute of text on this color. White is that of the group.
    pub(super) fn text_fill(&self) -> &'static str {
        if self.has_dark_text() { r##" fill="#333""## } else { "" }
    }
}

impl fmt::Display for Paint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl From<Color> for Paint {
    fn from(color: Color) -> Self {
        let hex = match color {
            Color::BrightGreen => BRIGHT_GREEN,
            Color::Blue => BLUE,
            Color::Green => GREEN,
            Color::Orange => ORANGE,
            Color::Red => RED,
            Color::LightGrey => LIGHT_GREY,
        };
        Self::hex(hex.into())
    }
}
