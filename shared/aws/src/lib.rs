//! Adapters to AWS, one for each service, always through its SDK: [`dynamodb`], [`sqs`],
//! [`secrets_manager`] and [`event_bridge`].
//!
//! What a function needs to run: its SDK set-up ([`sdk`]), the [`clock`], the environment ([`mod@env`]), and
//! [`telemetry`], which writes logs and [`metrics`].
//!
//! The feature `admin` adds what only operators may do. No function enables it.

pub mod clock;
pub mod dynamodb;
pub mod env;
pub mod event_bridge;
pub mod metrics;
pub mod sdk;
pub mod secrets_manager;
pub mod sqs;
pub mod telemetry;
