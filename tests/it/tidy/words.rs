//! Identifiers, file names, help texts and log messages use standard terms: this check fails on private words. Values
//! on the wire are other strings, which are not checked. Python and shell files are checked with their comments.

use std::ffi::OsStr;
use std::path::Path;

use super::tokens::{Token, tokens};

/// Words that are forbidden in identifiers, file names and help. Several words are a phrase.
const FORBIDDEN: &[&str] = &[
    "anew",
    "at work",
    "custody",
    "everybody",
    "foreign",
    "gave up",
    "give up",
    "given up",
    "gives up",
    "giving up",
    "hidden",
    "hide",
    "hides",
    "hopeless",
    "is to be",
    "judge",
    "judged",
    "judges",
    "let go",
    "lets go",
    "letting go",
    "mend",
    "mended",
    "mends",
    "nobody",
    "none of ours",
    "of its own",
    "patience",
    "patient",
    "prove",
    "proved",
    "proven",
    "proves",
    "said",
    "seen",
    "somebody",
    "stranger",
    "strangers",
    "tell",
    "telling",
    "tells",
    "told",
    "unproven",
    "unseen",
    "untold",
    "who",
    "whoever",
    "whom",
    "wish",
    "wished",
    "wishes",
];

/// Words that are ordinary English in a help text, but private in a name.
const FORBIDDEN_IN_NAMES: &[&str] = &["letter", "letters", "turn"];

/// Attributes of clap with the value `true`.
const CLAP_ATTRIBUTES: &[&str] = &["hide", "hide_env_values"];

/// Macros that log.
const LOG_MACROS: &[&str] = &["trace", "debug", "info", "warn", "error"];

/// Sources whose clap options are help.
const WITH_HELP: &[&str] = &["cli/src", "local/src"];
const CLAP_DERIVES: &[&str] = &["Args", "Parser", "Subcommand", "ValueEnum"];
/// Attributes and methods of clap that take a help text.
const CLAP_TEXTS: &[&str] = &[
    "about",
    "after_help",
    "after_long_help",
    "before_help",
    "help",
    "help_heading",
    "long_about",
    "long_help",
];

/// The words of an identifier, in lower case: `DeadLetters` and `dead_letters` are `dead` and `letters`.
fn words(identifier: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let characters: Vec<_> = identifier.chars().collect();
    for (at, c) in characters.iter().enumerate() {
        let after_lower = at > 0 && !characters[at - 1].is_uppercase();
        let before_lower = characters.get(at + 1).is_some_and(|next| next.is_lowercase());
        if !c.is_alphanumeric() || (c.is_uppercase() && (after_lower || before_lower)) {
            words.push(String::new());
        }
        if c.is_alphanumeric() {
            words.last_mut().unwrap().extend(c.to_lowercase());
        }
    }
    words.retain(|word| !word.is_empty());
    words
}

/// The first of `forbidden` that occurs in `words`.
fn first_of<'a>(
    mut forbidden: impl Iterator<Item = &'a &'static str>,
    words: &[String],
) -> Option<&'static str> {
    let text = format!(" {} ", words.join(" ")).replace(" dead letter", " dead-letter");
    forbidden.find(|word| text.contains(&format!(" {word} "))).copied()
}

fn forbidden_in_name(name: &str) -> Option<&'static str> {
    first_of(FORBIDDEN.iter().chain(FORBIDDEN_IN_NAMES), &words(name))
}

fn forbidden_in_help(text: &str) -> Option<&'static str> {
    first_of(FORBIDDEN.iter(), &words(&text.to_lowercase()))
}

/// The forbidden words in a source, as `path:line word`.
fn in_source(path: &str, source: &str) -> Vec<String> {
    let tokens = tokens(source);
    let mut found = Vec::new();
    let mut is_test = false;
    for (at, (line, token)) in tokens.iter().enumerate() {
        let before = |count: usize| at.checked_sub(count).map(|at| tokens[at].1);
        let Token::Word(name) = token else { continue };
        is_test |= *name == "test" && matches!(before(1), Some(Token::Mark('[' | ':')));
        let after: Vec<_> = tokens[at + 1..].iter().take(2).map(|(_, token)| *token).collect();
        let is_clap = CLAP_ATTRIBUTES.contains(name) && after == [Token::Mark('='), Token::Word("true")];
        if !is_clap && let Some(word) = forbidden_in_name(name) {
            found.push(format!("{path}:{line} {word}"));
        }
        if LOG_MACROS.contains(name) && after == [Token::Mark('!'), Token::Mark('(')] {
            let texts = arguments(&tokens[at + 2..]).iter().filter_map(|(line, token)| text(*line, *token));
            found.extend(
                texts.filter_map(|(line, text)| Some(format!("{path}:{line} {}", forbidden_in_help(text)?))),
            );
        }
        if before(1) == Some(Token::Word("fn")) {
            if is_test && (name.starts_with("what_") || name.starts_with("of_")) {
                found.push(format!("{path}:{line} a test is a sentence, not {name}"));
            }
            is_test = false;
        }
    }
    if WITH_HELP.iter().any(|folder| path.starts_with(folder)) {
        let help = help(&tokens).into_iter();
        found.extend(
            help.filter_map(|(line, text)| Some(format!("{path}:{line} {}", forbidden_in_help(text)?))),
        );
    }
    found
}

/// The forbidden words in a script, as `path:line word`.
fn in_script(path: &str, script: &str) -> Vec<String> {
    let lines = (1..).zip(script.lines());
    lines.filter_map(|(line, text)| Some(format!("{path}:{line} {}", forbidden_in_name(text)?))).collect()
}

/// The texts that clap prints: doc comments of the types that derive its traits, and texts given to it.
fn help<'a>(tokens: &[(usize, Token<'a>)]) -> Vec<(usize, &'a str)> {
    let mut help = Vec::new();
    for (at, (line, token)) in tokens.iter().enumerate() {
        match (token, tokens.get(at + 1), tokens.get(at + 2)) {
            (Token::Word("derive"), ..) => {
                let derives = tokens[at..].iter().take_while(|(_, token)| *token != Token::Mark(')'));
                let mut derives = derives.filter_map(|(_, token)| word(*token));
                if derives.any(|derive| CLAP_DERIVES.contains(&derive)) {
                    let docs = tokens[..at.saturating_sub(2)].iter().rev().map_while(doc);
                    help.extend(docs.chain(item(&tokens[at..]).iter().filter_map(doc)));
                }
            }
            (Token::Word(name), Some((_, Token::Mark('=' | '('))), Some((_, Token::Text(text))))
                if CLAP_TEXTS.contains(name) =>
            {
                help.push((*line, *text));
            }
            _ => {}
        }
    }
    help
}

fn word(token: Token<'_>) -> Option<&str> {
    if let Token::Word(word) = token { Some(word) } else { None }
}

fn doc<'a>((line, token): &(usize, Token<'a>)) -> Option<(usize, &'a str)> {
    if let Token::Doc(text) = token { Some((*line, text)) } else { None }
}

fn text(line: usize, token: Token<'_>) -> Option<(usize, &str)> {
    if let Token::Text(text) = token { Some((line, text)) } else { None }
}

/// The tokens up to the end of the first block in braces.
fn item<'a, 'b>(tokens: &'b [(usize, Token<'a>)]) -> &'b [(usize, Token<'a>)] {
    block(tokens, '{', '}')
}

/// The arguments of a macro.
fn arguments<'a, 'b>(tokens: &'b [(usize, Token<'a>)]) -> &'b [(usize, Token<'a>)] {
    block(tokens, '(', ')')
}

/// The tokens up to the mark that closes the first `open`.
fn block<'a, 'b>(tokens: &'b [(usize, Token<'a>)], open: char, close: char) -> &'b [(usize, Token<'a>)] {
    let mut depth = 0;
    let end = tokens.iter().position(|(_, token)| {
        depth += i32::from(*token == Token::Mark(open));
        let closes = *token == Token::Mark(close);
        depth -= i32::from(closes);
        closes && depth == 0
    });
    &tokens[..end.unwrap_or(tokens.len())]
}

/// The forbidden words in the names of files and folders below `folder`, as `path word`, and in sources and scripts.
fn in_tree(root: &Path, folder: &Path, found: &mut Vec<String>) {
    for entry in folder.read_dir().unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if name.starts_with('.') || matches!(&*name, "target" | "node_modules") {
            continue;
        }
        let below_root = path.strip_prefix(root).unwrap().to_string_lossy().into_owned();
        found.extend(forbidden_in_name(&name).map(|word| format!("{below_root} {word}")));
        let read = || std::fs::read_to_string(&path).unwrap();
        match path.extension().and_then(OsStr::to_str) {
            _ if path.is_dir() => in_tree(root, &path, found),
            Some("rs") => found.extend(in_source(&below_root, &read())),
            Some("py" | "sh") => found.extend(in_script(&below_root, &read())),
            _ => {}
        }
    }
}

#[test]
fn names_and_help_use_the_words_of_the_field() {
    let (root, mut found) = (super::root(), Vec::new());
    in_tree(&root, &root, &mut found);
    assert!(found.is_empty(), "private words:\n{}", found.join("\n"));
}

#[test]
fn a_forbidden_word_is_found_in_each_kind_of_name() {
    for name in
        ["told", "tell_all", "WhoeverAsks", "HTTPTold", "let_go", "is_at_work", "letters", "Turn", "Unseen"]
    {
        assert!(forbidden_in_name(name).is_some(), "{name}");
        let source = format!("// told\nlet {name} = \"told\";");
        assert_eq!(in_source("cli/src/x.rs", &source).len(), 1, "{name}");
    }
    for name in [
        "dead_letters",
        "DeadLetterQueue",
        "return_value",
        "retell",
        "mendel",
        "goes",
        "turned",
        "letter_box",
    ] {
        assert_eq!(forbidden_in_name(name).is_some(), name == "letter_box", "{name}");
    }
    assert_eq!(forbidden_in_name("cli/src/told.rs"), Some("told"));
    assert_eq!(in_source("x.rs", "let a = 1;\nfn hidden() {}"), ["x.rs:2 hidden"]);
    assert_eq!(in_source("x.rs", "#[arg(long, hide = true)]\nhide: bool"), ["x.rs:2 hide"]);
    assert_eq!(in_script("x.py", "dead_letters = 1\ndef tell_all():"), ["x.py:2 tell"]);
}

#[test]
fn a_forbidden_word_is_found_in_help() {
    let options = "/// Said once.\n#[derive(Debug, Args)]\nstruct Options {\n    /// Whose turn it is.\n    /// For strangers.\n    \
        #[arg(long, help = \"Tells nothing\")]\n    all: bool,\n}\n/// Told.\nstruct Other;";
    assert_eq!(
        in_source("cli/src/options.rs", options),
        ["cli/src/options.rs:1 said", "cli/src/options.rs:5 strangers", "cli/src/options.rs:6 tells"]
    );
    assert_eq!(in_source("shared/api/src/options.rs", options), [""; 0]);
}

#[test]
fn a_forbidden_word_is_found_in_a_log_message() {
    let source = "fn f() {\n    tracing::warn!(%error, \"nobody was told\");\n    format!(\"told\");\n}";
    assert_eq!(in_source("shared/aws/src/x.rs", source), ["shared/aws/src/x.rs:2 nobody"]);
}

#[test]
fn a_test_that_is_not_a_sentence_is_found() {
    for attribute in ["#[test]", "#[tokio::test(start_paused = true)]"] {
        for (name, expected) in [("what_is_due", 1), ("of_many", 1), ("whatever_is_due", 0)] {
            let source = format!("{attribute}\nasync fn {name}() {{}}\nfn what_it_is() {{}}");
            assert_eq!(in_source("x.rs", &source).len(), expected, "{source}");
        }
    }
}
