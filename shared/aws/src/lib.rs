//! Adapters for AWS services, each through its SDK: [`dynamodb`], [`sqs`], [`secrets_manager`] and
//! [`event_bridge`].
//!
//! The other modules are what a function needs to run: the SDK configuration ([`sdk`]), the [`clock`], the
//! environment ([`mod@env`]), and [`telemetry`], which writes logs and [`metrics`].
//!
//! The feature `admin` adds operations for operators. No function enables it.

pub mod clock;
pub mod dynamodb;
pub mod env;
pub mod event_bridge;
pub mod metrics;
pub mod sdk;
pub mod secrets_manager;
pub mod sqs;
pub mod telemetry;
