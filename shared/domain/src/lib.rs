//! The domain of BadgeSmith: names, results, packages, versions, keys, signatures, messages and badges.
//!
//! Everything here is pure. This crate depends on no AWS SDK, no async runtime and no clock; its
//! `Cargo.toml` proves it. Time comes in as a parameter.

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
