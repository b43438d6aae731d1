//! The function that stores test results: a batch of messages from SQS into DynamoDB.
//!
//! It is the only writer of test results. It accepts messages of any age, so that replays succeed: the ingest API
//! has already checked that each submission was fresh.

mod app;
mod settings;

pub use app::App;
pub use settings::Settings;
