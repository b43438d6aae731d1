//! The pipeline in the hands of one test.

use std::time::{Duration, Instant};

use badgesmith_aws::clock::Clock;
use http::Method;
use serde_json::{Value, json};
use tests::client::{Answer, Post, result, segment, with};
use tests::http::{Api, send_again_after};
use uuid::Uuid;

use crate::target::Target;

/// What becomes of a result shows within seconds; a start of every function on the way is in this.
const RESULT_TIME_MAX: Duration = Duration::from_mins(1);
/// Between two looks.
const LOOK_PERIOD: Duration = Duration::from_millis(100);

/// A name that no other test and no other run has.
pub(crate) fn invented(what: &str) -> String {
    format!("{what}-{}", Uuid::new_v4().simple())
}

/// What a test speaks to, over connections of its own.
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

    /// The fields of a result of now, in the form with everything in the body.
    pub(crate) fn result(&self, branch: &str, fields: &Value) -> Value {
        let (owner, repo) = self.target.repository.split_once('/').expect("OWNER/REPO");
        let of = json!({ "owner": owner, "repo": repo, "branch": branch });
        with(with(result(Clock::System.now()), &of), fields)
    }

    /// A signed post of these fields.
    pub(crate) fn post(&self, body: &Value) -> Post {
        Post::json(body).signed(&self.target.key)
    }

    /// The same in the form of deployed clients: the names in the path, the branch as it is `spelled`. A run id
    /// of its own makes up for the nonce, since the same bytes count once.
    pub(crate) fn post_to(&self, platform: &str, spelled: &str, fields: &Value) -> Post {
        let changes = json!({ "owner": null, "repo": null, "branch": null, "nonce": null });
        let body = with(self.result("", &changes), &json!({ "run_id": invented("run") }));
        let path = format!("{platform}/{}/{spelled}", self.target.repository);
        Post::to_path(&path, &with(body, fields)).signed(&self.target.key)
    }

    /// Sends a post as a client does that wants it accepted: the same bytes again for as long as it is told to.
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

    /// Sends a post that has to be accepted, and returns its `test_result_id`.
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

    /// Where the badge of a branch is.
    pub(crate) fn badge_path(&self, platform: &str, branch: &str) -> String {
        format!("/badges/tests/{platform}/{}/{}", self.target.repository, segment(branch))
    }

    /// Reads a path until it answers as wanted.
    pub(crate) async fn get_until(
        &self,
        path: &str,
        time_max: Duration,
        wanted: impl Fn(&Answer) -> bool,
    ) -> Answer {
        let started = Instant::now();
        loop {
            let answer = self.get(path).await;
            if wanted(&answer) {
                return answer;
            }
            let Answer { status, text, .. } = answer;
            assert!(started.elapsed() < time_max, "{path} still answers {status} {text} after {time_max:?}");
            tokio::time::sleep(LOOK_PERIOD).await;
        }
    }

    /// Reads a badge until it says so. One that said something else may stay for 30 s, in memory.
    pub(crate) async fn badge_that_says(&self, path: &str, message: &str) -> Answer {
        let answer =
            self.get_until(path, RESULT_TIME_MAX, |answer| answer.json()["message"] == message).await;
        assert_eq!(answer.status, 200, "{path}: a badge is always answered with 200");
        answer
    }

    /// Looks at the history of a branch until it holds all these results, and returns it, newest first.
    pub(crate) async fn history_with(&self, branch: &str, ids: &[String]) -> Vec<Value> {
        let started = Instant::now();
        let query = format!("&branch={}", segment(branch));
        loop {
            let results = self.api.history(&self.target.repository, &query, 200).await.unwrap();
            if ids.iter().all(|id| results.iter().any(|result| result["test_result_id"] == *id)) {
                return results;
            }
            let (there, of) = (results.len(), ids.len());
            assert!(started.elapsed() < RESULT_TIME_MAX, "{branch}: {there} of {of} results are there");
            tokio::time::sleep(LOOK_PERIOD).await;
        }
    }
}
