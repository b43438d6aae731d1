//! Properties that each parser of untrusted text must have for any input. `cargo fuzz` searches for inputs that break
//! one, and `tests/it/fuzz_corpus.rs` replays the inputs in `corpus`.

pub mod branch;
pub mod id_token;
pub mod messages;
pub mod nuget_documents;
pub mod range;
pub mod signature;
pub mod submission;
pub mod test_report;
pub mod version;

/// The name of a target, and its function, which panics if an input breaks a property.
pub type Target = (&'static str, fn(&[u8]));

/// All targets. Each has a file in `fuzz_targets`, and inputs in `corpus`.
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

/// Parses `text`, and checks that the value displays as text that parses back to it. Returns the value.
fn round_trip<T>(text: &str) -> Option<T>
where
    T: std::str::FromStr + std::fmt::Display + std::fmt::Debug + PartialEq,
{
    let parsed: T = text.parse().ok()?;
    let printed = parsed.to_string();
    assert_eq!(printed.parse().ok().as_ref(), Some(&parsed), "{text:?} displays as {printed:?}");
    Some(parsed)
}
