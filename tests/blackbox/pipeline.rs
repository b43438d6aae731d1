//! One test's view of the pipeline: an HTTP client with helpers that submit and poll.

use std::time::{Duration, Instant};

use badgesmith_aws::clock::Clock;
use http::Method;
use serde_json::{Value, json};
use tests::client::{Answer, Post, branch_suffix, result, segment, with};
use tests::http::{Api, send_again_after};
use uuid::Uuid;

use crate::target::Target;

/// The longest time from an accepted post to its badge. It includes the cold start of every function, and copies in
/// memory and in a CDN, of 30 s each.
const RESULT_TIME_MAX: Duration = Duration::from_mins(2);
const POLL_INTERVAL: Duration = Duration::from_millis(100);

/// All headers that the functions set. They are the same for every transport and at every time.
pub(crate) const HEADERS: [&str; 9] = [
    "access-control-allow-origin",
    "allow",
    "cache-control",
    "content-type",
    "etag",
    "last-modified",
    "location",
    "retry-after",
    "x-content-type-options",
];

/// A name that no other test and no other run uses.
pub(crate) fn unique(prefix: &str) -> String {
    format!("{prefix}-{}", Uuid::new_v4().simple())
}

#[derive(Debug)]
pub(crate) struct Pipeline {
    pub(crate) target: &'static Target,
    pub(crate) api: Api,
}

impl Pipeline {
    pub(crate) fn open() -> Self {
        let target = Target::get();
        Self { target, api: Api::new(&target.url) }
    }

    /// The owner and the repository of the target.
    pub(crate) fn names(&self) -> (&'static str, &'static str) {
        self.target.repository.split_once('/').expect("OWNER/REPO")
    }

    /// The fields of a result with the current time, in the form with every field in the body.
    pub(crate) fn result(&self, branch: &str, fields: &Value) -> Value {
        let (owner, repo) = self.names();
        let names = json!({ "owner": owner, "repo": repo, "branch": branch });
        with(with(result(Clock::System.now()), &names), fields)
    }

    pub(crate) fn post(&self, body: &Value) -> Post {
        Post::json(body).signed(&self.target.key)
    }

    /// A signed post in the form of deployed clients: the names in the path, the branch as it is `spelled`.
    /// The body has no nonce, so a unique run id keeps two bodies from being the same bytes.
    pub(crate) fn post_to(&self, platform: &str, spelled: &str, fields: &Value) -> Post {
        let changes = json!({ "owner": null, "repo": null, "branch": null, "nonce": null });
        let body = with(self.result("", &changes), &json!({ "run_id": unique("run") }));
        let path = format!("{platform}/{}/{spelled}", self.target.repository);
        Post::to_path(&path, &with(body, fields)).signed(&self.target.key)
    }

    /// Sends a post, and sends the same bytes again for as long as the response asks for it.
    pub(crate) async fn submit(&self, post: &Post) -> Answer {
        let started = Instant::now();
        loop {
            let answer = self.api.send(post).await.unwrap();
            match send_again_after(&answer) {
                Some(wait) if started.elapsed() < RESULT_TIME_MAX => tokio::time::sleep(wait).await,
                Some(_) | None => return answer,
            }
        }
    }

    /// Sends a post that must be accepted, and returns its `test_result_id`.
    pub(crate) async fn accepted(&self, post: &Post) -> String {
        let answer = self.submit(post).await;
        assert!(answer.is_accepted(), "{} {}: {} {}", post.path, post.body, answer.status, answer.text);
        answer.json()["test_result_id"].as_str().expect("an id").to_owned()
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.request(Method::GET, path, &[]).await
    }

    pub(crate) async fn request(&self, method: Method, path: &str, headers: &[(&str, &str)]) -> Answer {
        self.api.request(method, path, headers).await.unwrap()
    }

    pub(crate) fn badge_path(&self, platform: &str, branch: &str) -> String {
        format!("/badges/tests/{platform}/{}{}", self.target.repository, branch_suffix(branch))
    }

    /// Polls a path until `is_expected`.
    pub(crate) async fn get_until(
        &self,
        path: &str,
        time_max: Duration,
        is_expected: impl Fn(&Answer) -> bool,
    ) -> Answer {
        let started = Instant::now();
        loop {
            let answer = self.get(path).await;
            if is_expected(&answer) {
                return answer;
            }
            let Answer { status, text, .. } = answer;
            assert!(
                started.elapsed() < time_max,
                "{path} still responds with {status} {text} after {time_max:?}"
            );
            tokio::time::sleep(POLL_INTERVAL).await;
        }
    }

    /// Polls a badge until it has this message. The badge API caches an older result in memory for 30 s.
    pub(crate) async fn badge(&self, path: &str, message: &str) -> Answer {
        let answer =
            self.get_until(path, RESULT_TIME_MAX, |answer| answer.json()["message"] == message).await;
        assert_eq!(answer.status, 200, "{path}: a badge always has status 200");
        answer
    }

    /// Polls the history of a branch until it holds all these results, and returns it, newest first.
    pub(crate) async fn history(&self, branch: &str, ids: &[String]) -> Vec<Value> {
        let started = Instant::now();
        let query = format!("&branch={}", segment(branch));
        loop {
            let results = self.api.history(&self.target.repository, &query, 200).await.unwrap();
            if ids.iter().all(|id| results.iter().any(|result| result["test_result_id"] == *id)) {
                return results;
            }
            let (stored, sent) = (results.len(), ids.len());
            assert!(started.elapsed() < RESULT_TIME_MAX, "{branch}: {stored} of {sent} results are stored");
            tokio::time::sleep(POLL_INTERVAL).await;
        }
    }
}

/// Asserts that a function rejected a request. Errors of the CDN and of API Gateway have other forms.
#[track_caller]
pub(crate) fn assert_rejected(answer: &Answer, verdict: &str, context: &str) {
    assert_eq!(answer.verdict(), verdict, "{context}: {}", answer.text);
    assert!(!answer.json()["message"].as_str().expect("a message").is_empty(), "{context}");
    assert_eq!(answer.header("cache-control"), Some("no-store"), "{context}");
    assert!(answer.header("content-type").unwrap().starts_with("application/json"), "{context}");
}
