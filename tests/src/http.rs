//! The HTTP API of the pipeline, by base URL.

use std::time::Duration;

use http::HeaderMap;
use http::Method;
use reqwest::redirect::Policy;
use reqwest::{Client, RequestBuilder};
use serde_json::Value;

use crate::client::{Answer, Post};

/// The longest time that API Gateway waits for a function.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(30);
/// The delay after an error of the gateway itself, which has no `Retry-After`.
const RETRY_AFTER: Duration = Duration::from_secs(1);
/// Pages of a history that are read again.
const HISTORY_RETRIES: usize = 5;

/// The API at one base URL, with its own connections, which are closed with the test's runtime.
#[derive(Debug, Clone)]
pub struct Api {
    client: Client,
    base: String,
}

impl Api {
    /// The API at `base`, such as `http://127.0.0.1:9474`. It follows no redirect.
    pub fn new(base: &str) -> Self {
        let client = Client::builder().redirect(Policy::none()).timeout(ANSWER_TIME_MAX).build();
        Self { client: client.expect("a client"), base: base.trim_end_matches('/').to_owned() }
    }

    /// # Errors
    /// When the response is missing or incomplete. The post may have been accepted nevertheless.
    pub async fn send(&self, post: &Post) -> reqwest::Result<Answer> {
        let mut request = self.client.post(format!("{}{}", self.base, post.path)).body(post.body.clone());
        for (name, value) in &post.headers {
            request = request.header(*name, value);
        }
        answer(request).await
    }

    /// Sends a request without a body.
    ///
    /// # Errors
    /// When the response is missing or incomplete.
    pub async fn request(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
    ) -> reqwest::Result<Answer> {
        let mut request = self.client.request(method, format!("{}{path}", self.base));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        answer(request).await
    }

    /// # Errors
    /// When the response is missing or incomplete.
    pub async fn get(&self, path: &str) -> reqwest::Result<Answer> {
        self.request(Method::GET, path, &[]).await
    }

    /// The history of a repository, in pages of `limit` results, with a query such as `&branch=main`. Reads a page
    /// again, at most five times in all, while the service is unavailable: a table that responds late on a busy
    /// machine.
    ///
    /// # Errors
    /// When the response is missing or incomplete.
    pub async fn history(&self, repository: &str, query: &str, limit: usize) -> reqwest::Result<Vec<Value>> {
        let mut results = Vec::new();
        let mut cursor = String::new();
        let mut unavailable = 0;
        loop {
            let path = format!("/tests/results/{repository}?limit={limit}{query}{cursor}");
            let answer = self.get(&path).await?;
            if answer.status == 503 && unavailable < HISTORY_RETRIES {
                unavailable += 1;
                tokio::time::sleep(send_again_after(&answer).unwrap_or(RETRY_AFTER)).await;
                continue;
            }
            assert_eq!(answer.status, 200, "{path}: {}", answer.text);
            let page = answer.json();
            let found = page["results"].as_array().expect("a page of results");
            results.extend_from_slice(found);
            let Some(next) = page["next_cursor"].as_str() else {
                assert!(found.len() <= limit, "{path}: {} results", found.len());
                return Ok(results);
            };
            assert_eq!(found.len(), limit, "{path}: only the last page is short");
            let next = format!("&cursor={next}");
            assert_ne!(next, cursor, "{path}: the next page is the current one");
            cursor = next;
        }
    }
}

async fn answer(request: RequestBuilder) -> reqwest::Result<Answer> {
    let response = request.send().await?;
    let (status, headers): (_, HeaderMap) = (response.status().as_u16(), response.headers().clone());
    Ok(Answer { status, headers, text: response.text().await? })
}

/// The time after which a client sends the same bytes again; `None` if the response is final.
pub fn send_again_after(answer: &Answer) -> Option<Duration> {
    let again = matches!(answer.status, 429 | 503) || answer.verdict() == "409 SUBMISSION_IN_PROGRESS";
    let seconds = || answer.header("retry-after")?.parse().ok().map(Duration::from_secs);
    again.then(|| seconds().unwrap_or(RETRY_AFTER))
}
