//! The tokens of a Rust source, as far as a check of names and help texts needs them.

/// A part of a source. Characters, numbers, lifetimes and comments are left out, except doc comments.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Token<'a> {
    /// An identifier or a keyword.
    Word(&'a str),
    /// The content of a string.
    Text(&'a str),
    /// The content of a line of a doc comment.
    Doc(&'a str),
    Mark(char),
}

/// The tokens of `source`, with their lines, from 1.
pub(super) fn tokens(source: &str) -> Vec<(usize, Token<'_>)> {
    let mut found = Vec::new();
    let (mut rest, mut line) = (source, 1);
    while let Some(first) = rest.chars().next() {
        let (length, token) = next(rest, first);
        found.extend(token.map(|token| (line, token)));
        let (passed, left) = rest.split_at(length);
        line += passed.matches('\n').count();
        rest = left;
    }
    found
}

/// The number of bytes up to the next token, and the token in them.
fn next(rest: &str, first: char) -> (usize, Option<Token<'_>>) {
    if rest.starts_with("//") {
        let length = rest.find('\n').unwrap_or(rest.len());
        let is_doc = (rest.starts_with("///") && !rest.starts_with("////")) || rest.starts_with("//!");
        return (length, is_doc.then(|| Token::Doc(&rest[3..length])));
    }
    if rest.starts_with("/*") {
        return (comment(rest), None);
    }
    match first {
        '"' => {
            let length = quoted(rest, '"');
            (length, Some(Token::Text(rest[1..length].trim_end_matches('"'))))
        }
        '\'' => (character_or_lifetime(rest), None),
        _ if first.is_alphabetic() || first == '_' => word(rest),
        _ if first.is_ascii_digit() => (word_length(rest), None),
        _ if first.is_whitespace() => (first.len_utf8(), None),
        mark => (mark.len_utf8(), Some(Token::Mark(mark))),
    }
}

fn word_length(rest: &str) -> usize {
    rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len())
}

/// A word, or the raw string that it begins.
fn word(rest: &str) -> (usize, Option<Token<'_>>) {
    let (word, after) = rest.split_at(word_length(rest));
    let content = after.trim_start_matches('#');
    let hashes = &after[..after.len() - content.len()];
    if !matches!(word, "r" | "br" | "cr") || !content.starts_with('"') {
        return (word.len(), Some(Token::Word(word)));
    }
    let content = &content[1..];
    let text = content.split(&format!("\"{hashes}")).next().unwrap_or(content);
    let length = word.len() + 2 * (hashes.len() + 1) + text.len();
    (length.min(rest.len()), Some(Token::Text(text)))
}

/// The length of a string or a character, with its quotes.
fn quoted(rest: &str, quote: char) -> usize {
    let mut is_escaped = false;
    for (at, c) in rest.char_indices().skip(1) {
        if !is_escaped && c == quote {
            return at + 1;
        }
        is_escaped = !is_escaped && c == '\\';
    }
    rest.len()
}

fn character_or_lifetime(rest: &str) -> usize {
    let mut characters = rest.chars().skip(1);
    let (one, two) = (characters.next(), characters.next());
    if one == Some('\\') || two == Some('\'') { quoted(rest, '\'') } else { 1 + word_length(&rest[1..]) }
}

/// The length of a block comment, which may contain others.
fn comment(rest: &str) -> usize {
    let (mut depth, mut at) = (0, 0);
    while at < rest.len() {
        let length = match rest.as_bytes()[at..] {
            [b'/', b'*', ..] => {
                depth += 1;
                2
            }
            [b'*', b'/', ..] => {
                depth -= 1;
                2
            }
            _ => 1,
        };
        at += length;
        if depth == 0 {
            break;
        }
    }
    at
}

#[test]
fn identifiers_texts_and_doc_comments_are_tokens() {
    let source = r#"
        /// Help.
        fn read<'a>(text: &'a str) -> char { // a comment
            let quote = '\''; /* a /* nested */ comment */
            br"raw\"; b"by\"tes"; 0x1f_u8;
            'x'
        }
    "#;
    let found = tokens(source).into_iter().filter(|(_, token)| !matches!(token, Token::Mark(_)));
    let found: Vec<_> = found.collect();
    let words = |line, words: &[&'static str]| -> Vec<(usize, Token<'static>)> {
        words.iter().map(|word| (line, Token::Word(word))).collect()
    };
    let expected = [
        vec![(2, Token::Doc(" Help."))],
        words(3, &["fn", "read", "text", "str", "char"]),
        words(4, &["let", "quote"]),
        vec![(5, Token::Text("raw\\")), (5, Token::Word("b")), (5, Token::Text("by\\\"tes"))],
    ];
    assert_eq!(found, expected.concat());
    assert_eq!(tokens("r##\"a \"# b\"##x"), [(1, Token::Text("a \"# b")), (1, Token::Word("x"))]);
}
