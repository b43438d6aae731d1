//! The words in the path of a report that show an attempt.

/// Words of a path that show an attempt.
const ATTEMPT_WORDS: [&str; 7] = ["attempt", "attempts", "rerun", "reruns", "retried", "retries", "retry"];

/// A directory without the parts that show attempts.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Directory(Vec<String>);

impl Directory {
    /// Whether `other` is this directory, or one below it.
    pub(super) fn contains(&self, other: &Self) -> bool {
        other.0.starts_with(&self.0)
    }
}

#[derive(Debug)]
pub(super) struct Location {
    pub(super) directory: Directory,
    /// The path, without the words and numbers that show attempts.
    pub(super) name: String,
    pub(super) shows_attempt: bool,
}

impl Location {
    pub(super) fn new(path: &str) -> Self {
        let mut parts: Vec<&str> =
            path.split(['/', '\\']).filter(|part| !part.is_empty() && *part != ".").collect();
        let file = parts.pop().unwrap_or_default();
        let stem = file.split('.').next().unwrap_or_default();
        // A directory with the word alone may be a package; in `Retries/k3/1`, the number comes later.
        let last_number = parts.iter().rposition(|part| is_number(part));
        let last_number = if is_number(stem) { parts.len() } else { last_number.unwrap_or_default() };
        let without = without_attempt(file);
        let mut shows_attempt = false;
        let mut directory = Vec::new();
        for (position, part) in parts.iter().enumerate() {
            let is_word = without_attempt(part)
                .is_some_and(|words| words.has_number || position < last_number || without.is_some());
            if is_word || (shows_attempt && is_number(part)) {
                shows_attempt = true;
            } else {
                directory.push((*part).to_owned());
            }
        }
        shows_attempt |= without.is_some();
        let name = format!("{}/{}", directory.join("/"), without.as_ref().map_or(file, |words| &words.rest));
        Self { directory: Directory(directory), name, shows_attempt }
    }
}

/// The words of a part of a path that shows an attempt.
struct Words {
    /// Whether a number follows the word that shows it.
    has_number: bool,
    /// The words without these.
    rest: String,
}

fn is_number(word: &str) -> bool {
    !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_digit())
}

/// `None` if no word shows an attempt.
fn without_attempt(part: &str) -> Option<Words> {
    let words = words(part);
    let position =
        words.iter().position(|word| ATTEMPT_WORDS.contains(&word.to_ascii_lowercase().as_str()))?;
    let has_number = words.get(position + 1).is_some_and(|word| is_number(word));
    let (before, rest) = words.split_at(position);
    let rest = rest.get(1 + usize::from(has_number)..).unwrap_or_default();
    Some(Words { has_number, rest: [before, rest].concat().join(".") })
}

/// The sequences of letters, and those of digits.
fn words(part: &str) -> Vec<&str> {
    let kind = |character: char| (character.is_alphabetic(), character.is_ascii_digit());
    let mut words = Vec::new();
    let mut start = 0;
    let mut last = None;
    for (index, character) in part.char_indices() {
        if last.is_some_and(|last| last != kind(character)) {
            words.push(part.get(start..index).unwrap_or_default());
            start = index;
        }
        last = Some(kind(character));
    }
    words.push(part.get(start..).unwrap_or_default());
    words.retain(|word| word.starts_with(|character: char| character.is_alphanumeric()));
    words
}
