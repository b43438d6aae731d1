//! From bytes to text and its lines.

use std::borrow::Cow;

/// Decodes a report: UTF-8 or UTF-16 by the byte order mark, UTF-16 without one when it starts with `<`
/// (<https://www.w3.org/TR/xml/#sec-guessing>), and UTF-8 otherwise. Old versions of the .NET
/// tools write UTF-16, and so does `PowerShell` when it redirects a program's output into a file.
///
/// Invalid bytes become U+FFFD: they are in names and messages, on which no count depends.
pub(crate) fn decode(content: &[u8]) -> Cow<'_, str> {
    match content {
        [0xef, 0xbb, 0xbf, rest @ ..] => String::from_utf8_lossy(rest),
        [0xff, 0xfe, rest @ ..] | rest @ [b'<', 0, ..] => Cow::Owned(decode_utf16(rest, u16::from_le_bytes)),
        [0xfe, 0xff, rest @ ..] | rest @ [0, b'<', ..] => Cow::Owned(decode_utf16(rest, u16::from_be_bytes)),
        _ => String::from_utf8_lossy(content),
    }
}

fn decode_utf16(content: &[u8], unit: fn([u8; 2]) -> u16) -> String {
    let (units, rest) = content.as_chunks();
    let cut_short = (!rest.is_empty()).then_some(char::REPLACEMENT_CHARACTER);
    char::decode_utf16(units.iter().copied().map(unit))
        .map(|decoded| decoded.unwrap_or(char::REPLACEMENT_CHARACTER))
        .chain(cut_short)
        .collect()
}

/// The lines of `text` without their ends, each with the offset of its first byte.
pub(crate) fn lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.split_inclusive('\n').scan(0, |next, line| {
        let offset = *next;
        *next += line.len();
        Some((offset, line.trim_end_matches(['\n', '\r'])))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_bytes_decide_the_encoding() {
        let text = "<a b='\u{e9}\u{1f980}'/>";
        let le: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
        let be: Vec<u8> = text.encode_utf16().flat_map(u16::to_be_bytes).collect();
        for content in [
            text.as_bytes(),
            &[b"\xef\xbb\xbf", text.as_bytes()].concat(),
            &[b"\xff\xfe", &le[..]].concat(),
            &[b"\xfe\xff", &be[..]].concat(),
            &le,
            &be,
        ] {
            assert_eq!(decode(content), text);
        }
    }

    #[test]
    fn invalid_bytes_are_replaced() {
        assert_eq!(decode(b"a\xffb"), "a\u{fffd}b");
        assert_eq!(decode(b"\xff\xfea\0\0\xd8b\0c"), "a\u{fffd}b\u{fffd}");
        assert_eq!(decode(b""), "");
    }

    #[test]
    fn lines_carry_their_offset() {
        let lines: Vec<_> = lines("a\r\n\nbc").collect();
        assert_eq!(lines, [(0, "a"), (3, ""), (4, "bc")]);
    }
}
