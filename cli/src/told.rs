//! The output of commands whose result has no type yet.

use std::fmt;

use serde::Serialize;
use serde_json::Value;

use crate::output::Output;

/// JSON and text, built by hand.
#[derive(Debug)]
pub(crate) struct Told {
    pub(crate) json: Value,
    pub(crate) text: String,
    pub(crate) notes: Vec<String>,
    pub(crate) failed: bool,
    pub(crate) unprinted: Option<String>,
}

#[derive(Serialize)]
#[serde(transparent)]
struct Untyped {
    json: Value,
    #[serde(skip)]
    text: String,
}

impl fmt::Display for Untyped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Told {
    pub(crate) fn new(json: Value, text: impl Into<String>) -> Self {
        Self { json, text: text.into(), notes: Vec::new(), failed: false, unprinted: None }
    }

    pub(crate) fn note(mut self, note: impl Into<String>) -> Self {
        self.notes.push(note.into());
        self
    }
}

impl From<Told> for Output {
    fn from(Told { json, text, notes, failed, unprinted }: Told) -> Self {
        let output = Self::new(&Untyped { json, text }).notes(notes).failed_if(failed);
        match unprinted {
            Some(hint) => output.recovery_hint(hint),
            None => output,
        }
    }
}
