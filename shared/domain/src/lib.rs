//! The domain of BadgeSmith: names, results, packages, versions, keys, signatures, messages and badges.
//!
//! This crate is pure: it does no I/O and depends on no AWS SDK, no async runtime and no clock. Callers pass the
//! current time as a parameter.

pub mod badge;
pub mod ids;
pub mod key;
pub mod message;
pub mod package;
pub mod package_record;
pub mod package_request;
pub mod signature;
pub mod test_result;
pub mod timestamp;
pub mod token_bucket;
pub mod version;
