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
        let mut shows_attempt = false;
        let mut directory = Vec::new();
        for part in parts {
            let is_number = part.bytes().all(|byte| byte.is_ascii_digit());
            if without_attempt(part).is_none() && !(shows_attempt && is_number) {
                directory.push(part.to_owned());
            } else {
                shows_attempt = true;
            }
        }
        let without = without_attempt(file);
        shows_attempt |= without.is_some();
        let name = format!("{}/{}", directory.join("/"), without.as_deref().unwrap_or(file));
        Self { directory: Directory(directory), name, shows_attempt }
    }
}

/// The words of `part` without the first that shows an attempt and the number after it; `None` if no word shows one.
fn without_attempt(part: &str) -> Option<String> {
    let words = words(part);
    let position =
        words.iter().position(|word| ATTEMPT_WORDS.contains(&word.to_ascii_lowercase().as_str()))?;
    let is_number = |word: &&str| word.bytes().all(|byte| byte.is_ascii_digit());
    let after = if words.get(position + 1).is_some_and(is_number) { 2 } else { 1 };
    let (before, rest) = words.split_at(position);
    Some([before, rest.get(after..).unwrap_or_default()].concat().join("."))
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
