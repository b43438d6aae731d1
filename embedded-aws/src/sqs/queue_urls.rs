//! The URLs of queues.

use serde::Deserialize;
use serde_json::json;

use super::queues::{Queues, url_at};
use crate::error::ServiceError;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct GetQueueUrl {
    queue_name: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ListQueues {
    #[serde(default)]
    queue_name_prefix: String,
}

impl Queues {
    /// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_GetQueueUrl.html>
    pub(super) fn get_url(&self, host: &str, body: &[u8]) -> Result<String, ServiceError> {
        let GetQueueUrl { queue_name } = serde_json::from_slice(body)?;
        Ok(json!({ "QueueUrl": url_at(host, &self.queue(&queue_name)?.name) }).to_string())
    }

    /// All queues in one page: the template has few, so `MaxResults` has no effect.
    ///
    /// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_ListQueues.html>
    pub(super) fn list_urls(&self, host: &str, body: &[u8]) -> Result<String, ServiceError> {
        let ListQueues { queue_name_prefix } = serde_json::from_slice(body)?;
        let names = self.settings.keys().filter(|name| name.starts_with(&queue_name_prefix));
        let mut urls: Vec<_> = names.map(|name| url_at(host, name)).collect();
        urls.sort_unstable();
        Ok(json!({ "QueueUrls": urls }).to_string())
    }
}
