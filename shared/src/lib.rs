//! The domain of BadgeSmith and its adapters to AWS.
//!
//! Pure modules, which know nothing of AWS or the clock of the machine: [`name`], [`timestamp`],
//! [`test_result`], [`package`], [`package_record`], [`version`], [`key`], [`signature`], [`message`], [`package_request`],
//! [`token_bucket`], [`badge`] and [`route`].
//!
//! Adapters, one for each AWS service, always through its SDK: [`dynamodb`], [`sqs`],
//! [`secrets_manager`] and [`event_bridge`]. What they need to run in is in [`sdk`], [`clock`], [`mod@env`]
//! and [`telemetry`], which writes the [`metrics`]; [`http`] reads and writes the events of an API Gateway HTTP API, with [`problem`] for
//! what went wrong.

pub mod badge;
pub mod clock;
pub mod dynamodb;
pub mod env;
pub mod event_bridge;
pub mod http;
pub mod key;
pub mod message;
pub mod metrics;
pub mod name;
pub mod package;
pub mod package_record;
pub mod package_request;
pub mod problem;
pub mod route;
pub mod sdk;
pub mod secrets_manager;
pub mod signature;
pub mod sqs;
pub mod telemetry;
pub mod test_result;
pub mod timestamp;
pub mod token_bucket;
pub mod version;
