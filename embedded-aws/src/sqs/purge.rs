//! Deleting all messages of a queue:
//! <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_PurgeQueue.html>

use super::queues::Queues;
use crate::error::ServiceError;

/// A queue can be purged once in this period.
const PURGE_PERIOD_MILLISECONDS: i64 = 60_000;

impl Queues {
    pub(super) fn purge(&self, body: &[u8]) -> Result<String, ServiceError> {
        let queue = self.addressed(body)?;
        let (name, now) = (&queue.name, self.now());
        let mut purged = self.purged.lock();
        if purged.get(name).is_some_and(|before| now - before < PURGE_PERIOD_MILLISECONDS) {
            let message = format!("Only one PurgeQueue operation on {name} is allowed every 60 seconds.");
            return Err(ServiceError::client("PurgeQueueInProgress", message));
        }
        self.database.lock().execute("DELETE FROM message WHERE queue = ?1", [name])?;
        purged.insert(name.clone(), now);
        Ok("{}".to_owned())
    }
}
