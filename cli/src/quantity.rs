//! Numbers with nouns.

use std::fmt::Display;

/// `1 message`, `2 messages`
pub(crate) fn quantity<N: Copy + Display + PartialEq + From<u8>>(number: N, noun: &str) -> String {
    let ending = if number == N::from(1) { "" } else { "s" };
    format!("{number} {noun}{ending}")
}
