//! The repository's key, from a file or from `BADGESMITH_KEY`.

use std::fs;
use std::io;
use std::path::Path;

use badgesmith_aws::env;
use badgesmith_domain::signature::{HmacKey, KEY_BYTES_MIN};
use ci_env::Provider;

#[derive(Debug, thiserror::Error)]
pub(crate) enum KeyError {
    #[error("failed to read --key-file {path}: {source}")]
    File { path: String, source: io::Error },
    #[error("the key in {place} is too short: expected at least {KEY_BYTES_MIN} bytes")]
    TooShort { place: String },
}

/// Reads the key; None if there is no `file` and `BADGESMITH_KEY` is empty. A byte order mark and line breaks at
/// the end, which files and pasted secrets may have, are not part of it.
pub(crate) fn read_key(file: Option<&Path>, provider: Provider) -> Result<Option<HmacKey>, KeyError> {
    let text = match file {
        Some(path) => {
            let text = fs::read_to_string(path);
            Some(text.map_err(|source| KeyError::File { path: path.display().to_string(), source })?)
        }
        None => env::optional("BADGESMITH_KEY").filter(|value| !is_unset(value, provider)),
    };
    let Some(text) = text else { return Ok(None) };
    let key = text.trim_start_matches('\u{feff}').trim_end_matches(['\r', '\n']);
    if key.is_empty() && file.is_none() {
        return Ok(None);
    }
    HmacKey::new(key.as_bytes()).map(Some).ok_or_else(|| KeyError::TooShort {
        place: file.map_or_else(|| "BADGESMITH_KEY".to_owned(), |path| path.display().to_string()),
    })
}

/// Azure Pipelines leaves a reference to an unset variable, such as `$(BADGESMITH_KEY)`, as it is.
fn is_unset(value: &str, provider: Provider) -> bool {
    provider == Provider::AzurePipelines && value.starts_with("$(") && value.ends_with(')')
}
