//! The width of text in the fonts of badges.

/// A font whose characters are measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Font {
    Verdana11,
    Verdana10,
    Verdana10Bold,
    Helvetica11Bold,
}

/// The width of an entry whose characters are not measured.
const UNKNOWN: u32 = 0xfff;

impl Font {
    /// Ranges of equally wide characters, in little endian: the first character in 20 bits, and the width in hundredths
    /// of a pixel in 12.
    fn entries(self) -> &'static [[u8; 4]] {
        let bytes: &[u8] = match self {
            Self::Verdana11 => include_bytes!("widths/verdana-11px-normal.bin"),
            Self::Verdana10 => include_bytes!("widths/verdana-10px-normal.bin"),
            Self::Verdana10Bold => include_bytes!("widths/verdana-10px-bold.bin"),
            Self::Helvetica11Bold => include_bytes!("widths/helvetica-11px-bold.bin"),
        };
        bytes.as_chunks().0
    }

    fn char_width(self, c: char) -> Option<f64> {
        if c.is_ascii_control() {
            return Some(0.0);
        }
        let entries = self.entries();
        let next = entries.partition_point(|entry| u32::from_le_bytes(*entry) >> 12 <= u32::from(c));
        let width = u32::from_le_bytes(*entries.get(next.checked_sub(1)?)?) & UNKNOWN;
        (width != UNKNOWN).then(|| f64::from(width) / 100.0)
    }

    /// The width of `text`, in whole pixels. A character that is not measured is as wide as an `m`.
    pub(super) fn width(self, text: &str) -> u32 {
        let em = self.char_width('m').unwrap_or_default();
        let width: f64 =
            text.chars().map(|c| self.char_width(c).unwrap_or(em)).fold(0.0, |sum, width| sum + width);
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "the integer part is meant"
        )]
        let width = width as u32;
        width
    }

    /// The width of `text` rounded up to an odd number, so that its middle is on the grid of pixels.
    pub(super) fn odd_width(self, text: &str) -> u32 {
        self.width(text) | 1
    }
}
