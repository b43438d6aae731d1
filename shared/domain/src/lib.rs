//! The domain of BadgeSmith: names, results, packages, versions, keys, signatures, messages and badges.
//!
//! This crate is pure: it does no I/O and depends on no AWS SDK, no async runtime and no clock. Callers pass the
//! current time as a parameter.
//!
//! A client parses what it knows about a run, and signs the body of its request:
//!
//! ```
//! use badgesmith_domain::ids::Platform;
//! use badgesmith_domain::signature::HmacKey;
//! use badgesmith_domain::test_result::{Counts, Outcome, TestRun};
//!
//! let run = TestRun::new(
//!     "acme/kit".parse()?,
//!     Platform::Linux,
//!     "main".parse()?,
//!     Outcome::from_counts(Counts::new(190, 0, 2, 192)?),
//!     "2025-01-15T10:30:00Z".parse()?,
//!     "16814735762".parse()?,
//! );
//! let run = TestRun { suite: Some("ci / test".parse()?), ..run };
//! let body = run.to_body(&"550e8400-e29b-41d4-a716-446655440000".parse()?)?;
//! let key = HmacKey::new(*b"0123456789abcdef").ok_or("the key is too short")?;
//! let signature = key.sign(body.as_bytes());
//! assert!(signature.to_string().starts_with("sha256="));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

pub mod badge;
pub mod derived_key;
pub mod id_token;
pub mod ids;
pub mod issuer;
pub mod key;
pub mod message;
pub mod oidc_owners;
pub mod package;
pub mod package_record;
pub mod package_request;
pub mod registration;
pub mod secret_scope;
pub mod service_url;
pub mod signature;
pub mod slots;
pub mod svg;
pub mod test_result;
pub mod timestamp;
pub mod token_bucket;
pub mod version;
