//! From bytes to text and its lines.

use std::borrow::Cow;
use std::collections::BTreeMap;

use encoding_rs::{Encoding, UTF_8, UTF_16BE, UTF_16LE};

use crate::error::excerpt;

/// The maximum length of an XML declaration, in bytes.
const DECLARATION_BYTES_MAX: usize = 1024;

/// A text, and the encoding that it declares if that is unknown.
pub(crate) struct Decoded<'a> {
    pub(crate) text: Cow<'a, str>,
    pub(crate) unknown_encoding: Option<String>,
}

/// Decodes a report: by its byte order mark, as UTF-16 without one when it starts with `<`
/// (<https://www.w3.org/TR/xml/#sec-guessing>), by its XML declaration, and as UTF-8 otherwise. `PowerShell` writes
/// UTF-16 when it redirects a program's output into a file.
///
/// Invalid bytes become U+FFFD, because they occur only in names and messages. A declaration that can be read without
/// decoding is in an encoding that extends ASCII, so an unknown encoding is read as UTF-8, and so is `utf-16`, which
/// .NET programs declare when they write XML to a string and save it as UTF-8.
pub(crate) fn decode(content: &[u8]) -> Decoded<'_> {
    let (encoding, unknown_encoding) = match (Encoding::for_bom(content), content) {
        (Some((encoding, _)), _) => (encoding, None),
        (None, [b'<', 0, ..]) => (UTF_16LE, None),
        (None, [0, b'<', ..]) => (UTF_16BE, None),
        _ => match declared_encoding(content) {
            None => (UTF_8, None),
            Some(label) => match Encoding::for_label(label) {
                Some(encoding) if encoding.is_ascii_compatible() => (encoding, None),
                Some(_) => (UTF_8, None),
                None => (UTF_8, Some(excerpt(&String::from_utf8_lossy(label)))),
            },
        },
    };
    Decoded { text: encoding.decode(content).0, unknown_encoding }
}

/// The value of `encoding` in the declaration at the start of an XML document.
fn declared_encoding(content: &[u8]) -> Option<&[u8]> {
    let start = content.trim_ascii_start();
    let start = start.get(..DECLARATION_BYTES_MAX).unwrap_or(start);
    if !start.starts_with(b"<?xml") {
        return None;
    }
    let declaration = start.split(|byte| *byte == b'>').next()?;
    let position = declaration.windows(8).position(|window| window == b"encoding")?;
    let mut parts = declaration.get(position..)?.split(|byte| matches!(byte, b'"' | b'\''));
    parts.next()?;
    parts.next()
}

/// The lines of `text` without their line endings, each with the offset of its first byte.
pub(crate) fn lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.split_inclusive('\n').scan(0, |next, line| {
        let offset = *next;
        *next += line.len();
        Some((offset, line.trim_end_matches(['\n', '\r'])))
    })
}

/// Removes the control sequences that color text in terminals:
/// <https://ecma-international.org/publications-and-standards/standards/ecma-48/>
pub(crate) fn without_colors(text: &str) -> Cow<'_, str> {
    if !text.contains('\u{1b}') {
        return Cow::Borrowed(text);
    }
    let mut plain = String::with_capacity(text.len());
    let mut parts = text.split("\u{1b}[");
    plain.push_str(parts.next().unwrap_or_default());
    for part in parts {
        let parameters = |c: char| c.is_ascii_digit() || matches!(c, ';' | ':' | '?');
        let rest = part.trim_start_matches(parameters);
        plain.push_str(rest.strip_prefix(|c: char| c.is_ascii_alphabetic()).unwrap_or(rest));
    }
    Cow::Owned(plain)
}

/// The lines of each source, without the prefix that names the source or the time. `docker compose` adds `service-1  | `
/// to each line, `concurrently` adds `[0] `, the kernel `[    0.123456] `, and CI systems a time.
#[derive(Default)]
pub(crate) struct Prefixed<'a> {
    pub(crate) sources: BTreeMap<&'a str, String>,
    lines: u64,
    others: u64,
}

impl<'a> Prefixed<'a> {
    pub(crate) fn read(&mut self, line: &'a str) {
        if let Some((source, rest)) = split_prefix(line) {
            self.lines += 1;
            let lines = self.sources.entry(source).or_default();
            lines.push_str(rest);
            lines.push('\n');
        } else {
            self.others += u64::from(!line.trim().is_empty());
        }
    }

    /// Whether most lines have a prefix.
    pub(crate) fn is_most(&self) -> bool {
        self.lines > self.others
    }
}

/// The source of a line, and the rest of it. All lines with a time have one source.
fn split_prefix(line: &str) -> Option<(&str, &str)> {
    let without_space = |rest: &str| rest.strip_prefix(' ').map_or(rest.len(), str::len);
    let rest_of = |rest: &'_ str| rest.len() - without_space(rest);
    if let Some((source, rest)) = line.split_once('|') {
        let name = source.trim_end();
        if !name.is_empty() && !name.contains(char::is_whitespace) && source.len() > name.len() {
            return Some((name, rest.get(rest_of(rest)..)?));
        }
    }
    if let Some((source, rest)) = line.strip_prefix('[').and_then(|line| line.split_once(']')) {
        let name = source.trim();
        if !name.is_empty() && !name.contains(char::is_whitespace) {
            let is_time = name.contains('.') && name.bytes().all(|b| b.is_ascii_digit() || b == b'.');
            return Some((if is_time { "" } else { name }, rest.get(rest_of(rest)..)?));
        }
    }
    let (time, rest) = line.split_once(' ')?;
    let digits = |from: usize, to: usize| {
        time.get(from..to).is_some_and(|part| part.bytes().all(|byte| byte.is_ascii_digit()))
    };
    let is_time = digits(0, 4) && digits(5, 7) && digits(8, 10) && time.get(10..11) == Some("T");
    is_time.then_some(("", rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_decoded(content: &[u8], text: &str) {
        assert_eq!(decode(content).text, text, "{content:?}");
    }

    #[test]
    fn the_first_bytes_decide_the_encoding() {
        let text = "<a b='\u{e9}\u{1f980}'/>";
        let le: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
        let be: Vec<u8> = text.encode_utf16().flat_map(u16::to_be_bytes).collect();
        check_decoded(text.as_bytes(), text);
        check_decoded(&[b"\xef\xbb\xbf", text.as_bytes()].concat(), text);
        check_decoded(&[b"\xff\xfe", &le[..]].concat(), text);
        check_decoded(&[b"\xfe\xff", &be[..]].concat(), text);
        check_decoded(&le, text);
        check_decoded(&be, text);
    }

    #[test]
    fn the_declaration_decides_the_encoding() {
        for (label, byte, character) in [
            ("windows-1252", 0x80, '\u{20ac}'),
            ("cp1251", 0xff, '\u{44f}'),
            ("ISO-8859-15", 0xa4, '\u{20ac}'),
            ("koi8-r", 0xc1, '\u{430}'),
            ("macintosh", 0x8e, '\u{e9}'),
            ("utf-16", 0x80, '\u{fffd}'),
        ] {
            let document = format!("<?xml version='1.0' encoding='{label}'?><a>");
            check_decoded(&[document.as_bytes(), &[byte]].concat(), &format!("{document}{character}"));
            assert_eq!(decode(document.as_bytes()).unknown_encoding, None);
        }
        let shift_jis = b"<?xml version=\"1.0\" encoding=\"Shift_JIS\"?>\x83\x5c";
        assert!(decode(shift_jis).text.ends_with('\u{30bd}'));
        let unknown = decode(b"<?xml version='1.0' encoding='klingon'?>");
        assert_eq!(unknown.unknown_encoding.as_deref(), Some("klingon"));
    }

    #[test]
    fn invalid_bytes_are_replaced() {
        check_decoded(b"a\xffb", "a\u{fffd}b");
        check_decoded(b"\xff\xfea\0\0\xd8b\0c", "a\u{fffd}b\u{fffd}");
        check_decoded(b"", "");
    }

    #[test]
    fn lines_carry_their_offset() {
        let lines: Vec<_> = lines("a\r\n\nbc").collect();
        assert_eq!(lines, [(0, "a"), (3, ""), (4, "bc")]);
    }

    #[test]
    fn colors_are_removed() {
        assert_eq!(without_colors("\u{1b}[1;31mFAIL\u{1b}[0m a\u{1b}[K"), "FAIL a");
        assert_eq!(without_colors("plain"), "plain");
    }

    #[test]
    fn prefixes_are_removed_by_source() {
        let sources = |text: &str| {
            let mut prefixed = Prefixed::default();
            lines(text).for_each(|(_, line)| prefixed.read(line));
            (prefixed.is_most(), prefixed.sources.values().cloned().collect::<Vec<_>>())
        };
        let of = |sources: &[&str]| sources.iter().map(|source| (*source).to_owned()).collect::<Vec<_>>();
        assert_eq!(sources("a-1  | x\nb-1  | y\na-1  |  z\na-1 exited\n"), (true, of(&["x\n z\n", "y\n"])));
        assert_eq!(sources("[0] x\n[1] y\n"), (true, of(&["x\n", "y\n"])));
        assert_eq!(sources("[    0.12] x\n[    0.13]     y\n"), (true, of(&["x\n    y\n"])));
        let times = "2026-01-05T10:00:00.1Z x\n2026-01-05T10:00:01.1Z y\n";
        assert_eq!(sources(times), (true, of(&["x\ny\n"])));
        assert_eq!(sources("x\ny | z\n"), (false, of(&["z\n"])));
    }
}
