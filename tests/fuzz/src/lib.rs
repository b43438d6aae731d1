//! What must hold for each parser of text from outside, whatever the bytes are. `cargo fuzz` searches for inputs that
//! break it, and `tests/it/fuzz_corpus.rs` replays the ones that are kept.

pub mod branch;
pub mod id_token;
pub mod messages;
pub mod nuget_documents;
pub mod range;
pub mod signature;
pub mod submission;
pub mod test_report;
pub mod version;

/// The name of a target, and what it does with an input. It panics if the input breaks a property.
pub type Target = (&'static str, fn(&[u8]));

/// Every target. Each has a file in `fuzz_targets`, and its inputs in `corpus`.
pub const TARGETS: &[Target] = &[
    ("branch", branch::check),
    ("id_token", id_token::check),
    ("messages", messages::check),
    ("nuget_documents", nuget_documents::check),
    ("range", range::check),
    ("signature", signature::check),
    ("submission", submission::check),
    ("test_report", test_report::check),
    ("version", version::check),
];

/// Parses `text`, and checks that it parses back from how it displays. Returns the parsed value.
fn round_trip<T>(text: &str) -> Option<T>
where
    T: std::str::FromStr + std::fmt::Display + std::fmt::Debug + PartialEq,
{
    let parsed: T = text.parse().ok()?;
    let printed = parsed.to_string();
    assert_eq!(printed.parse().ok().as_ref(), Some(&parsed), "{text:?} displays as {printed:?}");
    Some(parsed)
}
