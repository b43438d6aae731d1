//! The AWS services that the pipeline uses, embedded behind the HTTP client of the AWS SDK. Everything above that
//! client is the code that runs on AWS.
//!
//! DynamoDB is `dynoxide`. SQS, Secrets Manager and EventBridge are implemented here, because the available
//! implementations keep queues in memory and drop events. All of them store their data in SQLite: when a call returns,
//! its data is on disk. Calls that wait for the disk at the same time share one fsync.

#![expect(
    clippy::indexing_slicing,
    reason = "only serde_json values are indexed, and they return null for missing keys"
)]

mod arn;
mod aws;
mod calls;
mod database;
mod dynamodb;
pub mod endpoint;
mod error;
mod event_bridge;
pub mod listener;
mod secrets_manager;
mod sqs;
mod storage;
pub mod template;
mod write_ahead_log;

pub use aws::{Aws, config, response};
pub use error::OpenError;
pub use secrets_manager::Secrets;
pub use sqs::Queues;
pub use storage::Storage;
