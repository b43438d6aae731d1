//! The pipeline in one process, with a clock of its own: nothing happens by itself in it, so that every
//! order of events can be told as a story.

use std::time::Duration;

use aws_smithy_runtime_api::client::http::SharedHttpClient;
use badgesmith_shared::clock::Clock;
use badgesmith_shared::timestamp::Timestamp;
use bytes::Bytes;
use http::{Method, Request};
use local::aws::{self, Aws, Storage};
use local::options::Secret;
use local::stack::{RESULTS_DEAD_LETTER_QUEUE, RESULTS_QUEUE, Stack};
use local::template::Template;
use serde_json::Value;

use crate::client::{Answer, KEY, Post, REPOSITORY, result};
use crate::faults::Faults;

/// A message that was not deleted is delivered again after this long.
pub const VISIBILITY_TIMEOUT: Duration = Duration::from_mins(3);

/// The pipeline and what is around it.
#[derive(Debug)]
pub struct World {
    /// Stands still at 2026-01-15T10:30:00Z until it is advanced.
    pub clock: Clock,
    /// Every call to AWS goes through here.
    pub faults: Faults,
    aws: Aws,
    stack: Stack,
}

impl Default for World {
    fn default() -> Self {
        Self::new()
    }
}

impl World {
    /// A world with one repository, [`REPOSITORY`], whose client signs with [`KEY`].
    pub fn new() -> Self {
        let start: Timestamp = "2026-01-15T10:30:00Z".parse().unwrap();
        let clock = Clock::manual(start);
        let aws = Aws::open(&Storage::Memory, &Template::load().unwrap(), &clock).unwrap();
        let faults = Faults::new(aws.clone());
        let config = aws::config(SharedHttpClient::new(faults.clone()));
        let world = Self { stack: Stack::new(&config, &clock), clock, faults, aws };
        world.set_key(REPOSITORY, KEY);
        world
    }

    /// Gives a repository a key, or a new one.
    pub fn set_key(&self, repository: &str, key: &str) {
        let secret = Secret::new(repository.parse().unwrap(), key).unwrap();
        self.set_secret(repository, &secret.value);
    }

    /// Gives a repository a secret, whatever it holds.
    pub fn set_secret(&self, repository: &str, value: &str) {
        self.aws.secrets().put(&format!("badge/repo/{repository}"), value).unwrap();
    }

    /// Takes a repository's secret away.
    pub fn delete_secret(&self, repository: &str) {
        self.aws.secrets().delete(&format!("badge/repo/{repository}")).unwrap();
    }

    /// The functions start anew, with nothing in memory; what is in AWS stays.
    pub fn restart_functions(&mut self) {
        let config = aws::config(SharedHttpClient::new(self.faults.clone()));
        self.stack = Stack::new(&config, &self.clock);
    }

    /// The present time.
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// A post of one result, of now.
    pub fn post(&self) -> Post {
        Post::json(&result(self.now()))
    }

    /// Sends a post.
    pub async fn submit(&self, post: &Post) -> Answer {
        self.stack.gateway.answer(post.request()).await.into()
    }

    /// Sends a request without a body.
    pub async fn request(&self, method: Method, path: &str, headers: &[(&str, &str)]) -> Answer {
        let mut request = Request::builder().method(method).uri(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        self.stack.gateway.answer(request.body(Bytes::new()).unwrap()).await.into()
    }

    /// Reads a path.
    pub async fn get(&self, path: &str) -> Answer {
        self.request(Method::GET, path, &[]).await
    }

    /// The message of the badge at `place`, `linux/acme/kit/main` for example.
    pub async fn badge(&self, place: &str) -> String {
        let answer = self.get(&format!("/badges/tests/{place}")).await;
        assert_eq!(answer.status, 200, "a badge is always answered with 200");
        answer.json()["message"].as_str().expect("a badge has a message").to_owned()
    }

    /// The history of [`REPOSITORY`], all of it.
    pub async fn history(&self) -> Vec<Value> {
        let answer = self.get("/tests/results/acme/kit?limit=200").await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        answer.json()["results"].as_array().unwrap().clone()
    }

    /// Has every visible message processed, or tried; a queue that cannot be read ends it.
    pub async fn drain(&self) {
        while matches!(self.stack.poller.poll(0).await, Ok(1..)) {}
    }

    /// What is in the queue of results, visible or not.
    pub fn queued(&self) -> usize {
        self.depth(RESULTS_QUEUE)
    }

    /// What is in the dead-letter queue.
    pub fn dead_letters(&self) -> usize {
        self.depth(RESULTS_DEAD_LETTER_QUEUE)
    }

    /// The configuration of an SDK in this world, past all faults.
    pub fn sdk_config(&self) -> aws_types::SdkConfig {
        self.aws.sdk_config()
    }

    fn depth(&self, queue: &str) -> usize {
        self.aws.queues().depth(queue).unwrap()
    }
}
