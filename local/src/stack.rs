//! The deployed stack, wired up: each function with its resources.

use std::sync::Arc;

use aws_types::SdkConfig;
use badgesmith_shared::clock::Clock;

use crate::aws::Queues;
use crate::gateway::Gateway;
use crate::poller::Poller;

/// Logical ids in the template.
const TEST_RESULTS_TABLE: &str = "TestResultsTable";
const NONCES_TABLE: &str = "NoncesTable";
const EVENT_BUS: &str = "EventBus";
/// The queue that results wait in.
pub const RESULTS_QUEUE: &str = "ResultsQueue";
/// The queue for results that could not be stored.
pub const RESULTS_DEAD_LETTER_QUEUE: &str = "ResultsDeadLetterQueue";

/// Everything that runs.
#[derive(Debug)]
pub struct Stack {
    /// What answers HTTP requests.
    pub gateway: Gateway,
    /// What moves results from the queue to the table.
    pub poller: Poller,
}

impl Stack {
    /// Builds the functions on the AWS that `config` leads to.
    pub fn new(config: &SdkConfig, clock: &Clock) -> Self {
        let ingest_api = ingest_api::App::new(
            config,
            ingest_api::Settings {
                nonces_table: NONCES_TABLE.to_owned(),
                results_queue_url: Queues::url(RESULTS_QUEUE),
            },
            clock.clone(),
        );
        let processor = processor::App::new(
            config,
            processor::Settings {
                test_results_table: TEST_RESULTS_TABLE.to_owned(),
                results_dead_letter_queue_url: Queues::url(RESULTS_DEAD_LETTER_QUEUE),
                event_bus_name: EVENT_BUS.to_owned(),
            },
            clock.clone(),
        );
        let badge_api = badge_api::App::new(
            config,
            badge_api::Settings { test_results_table: TEST_RESULTS_TABLE.to_owned() },
            clock.clone(),
        );
        Self {
            gateway: Gateway::new(ingest_api, badge_api, clock.clone()),
            poller: Poller::new(config, Queues::url(RESULTS_QUEUE), Arc::new(processor)),
        }
    }
}
