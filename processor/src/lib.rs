//! The function that stores test results: a batch of messages from SQS into DynamoDB.
//!
//! It is the only writer of test results. Whether a submission was fresh was the ingest API's business:
//! here, a message of last week is as good as one of today, so that replays succeed.

mod app;

pub use app::{App, Settings};
