//! The pipeline in one process, with a manual clock. Nothing happens unless a test asks for it, so a test can
//! create every order of events.

mod keyless;

pub use self::keyless::{ISSUER, KEYLESS, SERVICE};

use std::sync::LazyLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use aws_sdk_dynamodb::types::AttributeValue;
use aws_smithy_runtime_api::client::http::SharedHttpClient;
use aws_smithy_runtime_api::client::stalled_stream_protection::StalledStreamProtectionConfig;
use aws_types::SdkConfig;
use aws_types::region::Region;
use badgesmith_aws::clock::Clock;
use badgesmith_aws::dynamodb::{Feed, Feeds, Registrations, SecretMappings};
use badgesmith_aws::event_bridge::EventBus;
use badgesmith_aws::secrets_manager::{SecretNames, feed_secret};
use badgesmith_domain::derived_key::{KeyId, MasterKey};
use badgesmith_domain::package::FeedName;
use badgesmith_domain::package_request::{PackageRequest, Reason};
use badgesmith_domain::registration::{ActiveRegistration, Registration};
use badgesmith_domain::secret_scope::SecretScope;
use badgesmith_domain::timestamp::Timestamp;
use bytes::Bytes;
use embedded_aws::template::Template;
use embedded_aws::{self, Aws, Queues, Storage};
use http::{Method, Request};
use lambda_runtime::{Context, LambdaEvent};
use local::config::{GitHubToken, Secret};
use local::gateway;
use local::stack::{
    EVENT_BUS, MASTER_KEY, PACKAGES_TABLE, REFRESH_DEAD_LETTER_QUEUE, REFRESH_QUEUE,
    RESULTS_DEAD_LETTER_QUEUE, RESULTS_QUEUE, SECRETS_TABLE, Stack, UpstreamConfig,
};
use refresher::{Report, UpstreamTimeouts};
use serde_json::{Value, json};
use url::Url;
use uuid::Uuid;

use crate::client::{Answer, KEY, Post, REPOSITORY, result, with};
use crate::faults::Faults;
use crate::function::Function;
use crate::upstream::Upstream;

/// The time after which SQS delivers a message again that was not deleted.
pub const VISIBILITY_TIMEOUT: Duration = Duration::from_mins(3);

/// Parsed once for all worlds.
static TEMPLATE: LazyLock<Template> = LazyLock::new(|| Template::load().unwrap());

/// The time for which a package is fresh.
pub const FRESH_FOR: Duration = Duration::from_mins(15);

/// The pipeline, its embedded AWS and its clock.
#[derive(Debug)]
pub struct World {
    /// Stands still at 2026-01-15T10:30:00Z until a test advances it.
    pub clock: Clock,
    /// Records every call to AWS.
    pub faults: Faults,
    aws: Aws,
    stack: Stack,
    upstreams: UpstreamConfig,
}

impl Default for World {
    fn default() -> Self {
        Self::new()
    }
}

impl World {
    /// A world with one repository, [`REPOSITORY`], whose client signs with [`KEY`]. Its upstreams are
    /// unreachable.
    pub fn new() -> Self {
        let nowhere: Url = "http://127.0.0.1:9/".parse().unwrap();
        let upstreams = UpstreamConfig {
            nuget_service_index: nowhere.clone(),
            github_api: nowhere,
            fresh_for: FRESH_FOR,
            timeouts: UpstreamTimeouts {
                first_backoff: Duration::from_millis(4),
                ..UpstreamTimeouts::default()
            },
            // Nothing is looked up meanwhile.
            first_lookup_wait: Duration::ZERO,
            oidc: None,
        };
        let start: Timestamp = "2026-01-15T10:30:00Z".parse().unwrap();
        let clock = Clock::manual(start);
        let aws = Aws::open(&Storage::Memory, &TEMPLATE, &clock).unwrap();
        let faults = Faults::new(aws.clone());
        let client = SharedHttpClient::new(faults.clone());
        let stack = Stack::new(&config_of_new_sandboxes(client), &upstreams, None, &clock);
        let world = Self { clock, faults, aws, stack, upstreams };
        world.set_key(REPOSITORY, KEY);
        world
    }

    /// A world whose packages come from `upstream`.
    pub fn with_upstream(upstream: &Upstream) -> Self {
        let mut world = Self::new();
        world.upstreams.nuget_service_index = upstream.nuget_service_index().parse().unwrap();
        world.upstreams.github_api = upstream.github_api().parse().unwrap();
        world.restart_functions();
        world
    }

    /// Sets or rotates the key of a repository, which has a secret of its own.
    pub fn set_key(&self, repository: &str, key: &str) {
        let secret = Secret::new(repository.parse().unwrap(), key).unwrap();
        block_on(secret.register(&self.aws, self.now())).unwrap();
    }

    /// Sets the secret of a repository to any text.
    pub fn set_secret(&self, repository: &str, value: &str) {
        self.aws.secrets().put(&format!("badge/repo/{repository}"), value).unwrap();
    }

    pub fn delete_secret(&self, repository: &str) {
        self.aws.secrets().delete(&format!("badge/repo/{repository}")).unwrap();
    }

    /// Makes another master key; the current one becomes the previous one.
    pub fn rotate_master_key(&self) {
        self.aws.secrets().put(MASTER_KEY, &Uuid::new_v4().to_string().repeat(2)).unwrap();
    }

    /// Ends what the previous master key counts for.
    pub async fn remove_previous_master_key(&self) {
        let id = self.previous_master_key().await.expect("a previous master key");
        let client = aws_sdk_secretsmanager::Client::new(&self.sdk_config());
        let update = client.update_secret_version_stage().secret_id(MASTER_KEY).version_stage("AWSPREVIOUS");
        update.remove_from_version_id(id).send().await.unwrap();
    }

    /// The version of the previous master key, if keys derived from it are valid too.
    pub async fn previous_master_key(&self) -> Option<String> {
        let client = aws_sdk_secretsmanager::Client::new(&self.sdk_config());
        let previous = client.get_secret_value().secret_id(MASTER_KEY).version_stage("AWSPREVIOUS");
        previous.send().await.ok()?.version_id
    }

    pub fn delete_master_key(&self) {
        self.aws.secrets().delete(MASTER_KEY).unwrap();
    }

    /// The table of registrations, without faults.
    pub fn registrations(&self) -> Registrations {
        Registrations::new(&self.sdk_config(), SECRETS_TABLE.to_owned())
    }

    /// Registers a repository with a derived key, whatever its registration was, and returns the key.
    pub async fn register(&self, repository: &str) -> String {
        let id = KeyId::new(Uuid::new_v4().into_bytes());
        let registration = ActiveRegistration::with_derived_key(id, self.now());
        self.set_registration(repository, Registration::Active(registration)).await;
        self.derived_key(repository, id)
    }

    /// The registration of a repository that may submit results.
    pub async fn registration(&self, repository: &str) -> ActiveRegistration {
        let record = self.registrations().find(&repository.parse().unwrap()).await.unwrap();
        match record.map(|record| record.registration) {
            Some(Registration::Active(active)) => Some(active),
            Some(Registration::Removed(_)) | None => None,
        }
        .expect("a registered repository")
    }

    /// The derived key of a repository.
    pub async fn key_of(&self, repository: &str) -> String {
        let active = self.registration(repository).await;
        self.derived_key(repository, active.proofs.derived.unwrap().current)
    }

    /// Replaces the derived key of a repository, and returns the new one.
    pub async fn rotate(&self, repository: &str, compromised: bool) -> String {
        let id = KeyId::new(Uuid::new_v4().into_bytes());
        let registration = self.registration(repository).await.rotated(id, compromised, self.now());
        self.set_registration(repository, Registration::Active(registration)).await;
        self.derived_key(repository, id)
    }

    /// Replaces the registration of a repository.
    pub async fn set_registration(&self, repository: &str, registration: Registration) {
        let (registrations, repository) = (self.registrations(), repository.parse().unwrap());
        let record = registrations.find(&repository).await.unwrap();
        assert!(registrations.put(&repository, &registration, record.as_ref()).await.unwrap());
    }

    fn derived_key(&self, repository: &str, id: KeyId) -> String {
        let master = self.aws.secrets().current(MASTER_KEY).unwrap().unwrap();
        let key = MasterKey::new(&master).unwrap().derive(&repository.parse().unwrap(), id);
        key.as_str().to_owned()
    }

    /// Runs the last step of a function's init phase.
    pub async fn warm_up(&self, function: Function) {
        match function {
            Function::IngestApi => Box::pin(self.stack.gateway.ingest_api.warm_up()).await,
            Function::Processor => self.stack.processor.warm_up().await,
            Function::BadgeApi => self.stack.gateway.badge_api.warm_up().await,
            Function::Refresher => {}
        }
    }

    /// Starts the functions again, with empty memory. The state in AWS stays.
    pub fn restart_functions(&mut self) {
        self.stack = self.another_instance();
    }

    /// Restarts the functions with other timeouts for upstreams.
    pub fn set_upstream_timeouts(&mut self, timeouts: UpstreamTimeouts) {
        self.upstreams.timeouts = timeouts;
        self.restart_functions();
    }

    /// Restarts the functions with badges that wait for a lookup.
    pub fn set_first_lookup_wait(&mut self, wait: Duration) {
        self.upstreams.first_lookup_wait = wait;
        self.restart_functions();
    }

    /// Restarts the functions with another NuGet feed.
    pub fn set_nuget_service_index(&mut self, url: &str) {
        self.upstreams.nuget_service_index = url.parse().unwrap();
        self.restart_functions();
    }

    /// Registers a token for an organization's public packages (`acme`), or for one package (`acme/kit`).
    pub async fn set_github_token(&self, of: &str, token: &str) {
        github_token(of, token).register(&self.aws, self.now()).await.unwrap();
    }

    /// Deletes the mapping of [`Self::set_github_token`]; the secret stays.
    pub async fn delete_github_token(&self, of: &str) {
        let mappings = SecretMappings::new(&self.sdk_config(), SECRETS_TABLE.to_owned());
        mappings.delete(&of.parse().unwrap()).await.unwrap();
    }

    /// Sets the secret of [`Self::set_github_token`] to any text.
    pub fn set_github_secret(&self, of: &str, value: &str) {
        let name = SecretNames::default().token(&of.parse().unwrap());
        self.aws.secrets().put(&name, value).unwrap();
    }

    /// Registers a feed, with a user and a password if it needs credentials.
    pub async fn add_feed(&self, name: &str, url: &str, credentials: Option<(&str, &str)>) {
        let name: FeedName = name.parse().unwrap();
        let secret_id = credentials.map(|(username, password)| {
            let id = SecretNames::default().feed(&name);
            self.aws.secrets().put(&id, &feed_secret(url, username, password)).unwrap();
            id
        });
        self.feeds().put(&Feed { name, address: url.to_owned(), secret_id }, self.now()).await.unwrap();
    }

    /// Makes the item of a feed expire, as an operator may do by hand.
    pub async fn expire_feed(&self, name: &str, after: Duration) {
        let ttl = self.now().plus(after).unix_seconds().to_string();
        let client = aws_sdk_dynamodb::Client::new(&self.sdk_config());
        let key = |text: String| AttributeValue::S(text);
        let update = client.update_item().table_name(SECRETS_TABLE).key("PK", key(format!("FEED#{name}")));
        let update = update.key("SK", key("META".to_owned())).update_expression("SET #ttl = :ttl");
        let update = update.expression_attribute_names("#ttl", "TTL");
        let update = update.expression_attribute_values(":ttl", AttributeValue::N(ttl));
        update.send().await.unwrap();
    }

    pub async fn remove_feed(&self, name: &str) {
        self.feeds().delete(&name.parse().unwrap()).await.unwrap();
    }

    fn feeds(&self) -> Feeds {
        Feeds::new(&self.sdk_config(), SECRETS_TABLE.to_owned())
    }

    /// Allows a package of a feed with credentials to be shown.
    pub async fn allow(&self, feed: &str, package: &str) {
        let mappings = SecretMappings::new(&self.sdk_config(), SECRETS_TABLE.to_owned());
        let scope = SecretScope::Package(format!("nuget/{feed}/{package}").parse().unwrap());
        mappings.put(&scope, &SecretNames::default().feed(&feed.parse().unwrap()), self.now()).await.unwrap();
    }

    /// Withdraws [`Self::allow`].
    pub async fn deny(&self, feed: &str, package: &str) {
        let mappings = SecretMappings::new(&self.sdk_config(), SECRETS_TABLE.to_owned());
        let scope = SecretScope::Package(format!("nuget/{feed}/{package}").parse().unwrap());
        mappings.delete(&scope).await.unwrap();
    }

    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// A post of one result with the current time.
    pub fn post(&self) -> Post {
        Post::json(&result(self.now()))
    }

    /// A post of one result of another repository than [`REPOSITORY`].
    pub fn post_of(&self, repository: &str) -> Post {
        let (owner, repo) = repository.split_once('/').unwrap();
        Post::json(&with(result(self.now()), &json!({ "owner": owner, "repo": repo })))
    }

    /// The functions once more, with empty memory.
    pub fn another_instance(&self) -> Stack {
        self.instance_behind(SharedHttpClient::new(self.faults.clone()))
    }

    /// The functions once more, with empty memory and this HTTP client to [`Self::aws`].
    pub fn instance_behind(&self, http_client: SharedHttpClient) -> Stack {
        Stack::new(&config_of_new_sandboxes(http_client), &self.upstreams, None, &self.clock)
    }

    /// The SDK configuration with this HTTP client.
    pub fn config_behind(http_client: SharedHttpClient) -> SdkConfig {
        config_of_new_sandboxes(http_client)
    }

    /// AWS, without faults.
    pub fn aws(&self) -> &Aws {
        &self.aws
    }

    pub async fn submit(&self, post: &Post) -> Answer {
        self.stack.gateway.answer(post.request()).await.into()
    }

    /// Sends a post to ingest-api in an invocation with this trace header, as Lambda does. Returns the status.
    pub async fn submit_in_trace(&self, post: &Post, trace: &str) -> i64 {
        let event = gateway::event(&post.request(), &self.clock).expect("an event");
        let mut context = Context::default();
        context.xray_trace_id = Some(trace.to_owned());
        self.stack.gateway.ingest_api.invoke(LambdaEvent::new(event, context)).await.status_code
    }

    /// Sends a request without a body.
    pub async fn request(&self, method: Method, path: &str, headers: &[(&str, &str)]) -> Answer {
        let mut request = Request::builder().method(method).uri(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        self.stack.gateway.answer(request.body(Bytes::new()).unwrap()).await.into()
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.request(Method::GET, path, &[]).await
    }

    /// The message of the badge at `place`, `linux/acme/kit/main` for example.
    pub async fn badge(&self, place: &str) -> String {
        self.message(&format!("/badges/tests/{place}")).await
    }

    /// The message of the badge of a package, `nuget/acme.kit` or `nuget/acme.kit?version=1.0` for example.
    pub async fn version(&self, package: &str) -> String {
        self.message(&format!("/badges/packages/{package}")).await
    }

    async fn message(&self, path: &str) -> String {
        let answer = self.get(path).await;
        let message = answer.json()["message"].as_str().expect("a badge has a message").to_owned();
        let is_unavailable = answer.status == 503 && message == "unavailable";
        assert!(answer.status == 200 || is_unavailable, "{path}: {} {message}", answer.status);
        message
    }

    /// Requests a package, processes the request, and returns the badge's message without any cache.
    pub async fn look_up(&mut self, package: &str) -> String {
        self.version(package).await;
        self.drain_requests().await;
        self.restart_functions();
        self.version(package).await
    }

    /// Processes all visible requests for packages.
    pub async fn drain_requests(&self) {
        while matches!(self.stack.requests.poll(0).await, Ok(1..)) {}
    }

    /// Refreshes the packages that are due, as the schedule does.
    pub async fn refresh_due(&self) -> Report {
        self.stack.refresh_due().await.unwrap()
    }

    /// Refreshes the packages that are due, with this timeout.
    pub async fn refresh_due_within(&self, timeout: Duration) -> Report {
        self.stack.refresh_due_within(timeout).await.unwrap()
    }

    /// Publishes a `PackageRequested` event without the badge API.
    pub async fn publish_request(&self, package: &str, reason: Reason) {
        let request = PackageRequest::new(package.parse().unwrap(), reason, self.now());
        let bus = EventBus::new(&self.sdk_config(), EVENT_BUS.to_owned());
        bus.publish_requested(&request).await.unwrap();
    }

    /// Sends any text to a queue.
    pub async fn send(&self, queue: &str, body: &str) {
        let client = aws_sdk_sqs::Client::new(&self.sdk_config());
        client.send_message().queue_url(Queues::url(queue)).message_body(body).send().await.unwrap();
    }

    /// Overwrites an item of the packages table with one that cannot be decoded.
    pub async fn corrupt_item(&self, partition: &str, sort: &str) {
        let client = aws_sdk_dynamodb::Client::new(&self.sdk_config());
        let text = |text: &str| AttributeValue::S(text.to_owned());
        client
            .put_item()
            .table_name(PACKAGES_TABLE)
            .item("PK", text(partition))
            .item("SK", text(sort))
            .item("Content", text("nonsense"))
            .send()
            .await
            .unwrap();
    }

    /// The number of items in all tables.
    pub async fn items(&self) -> usize {
        let client = aws_sdk_dynamodb::Client::new(&self.sdk_config());
        let mut items = 0;
        for table in &TEMPLATE.tables {
            items += client.scan().table_name(&table.name).send().await.unwrap().items().len();
        }
        items
    }

    /// The depth of the dead-letter queue of package requests.
    pub fn refresh_dead_letters(&self) -> usize {
        self.depth(REFRESH_DEAD_LETTER_QUEUE)
    }

    /// The depth of the queue of package requests, in-flight messages included.
    pub fn requested(&self) -> usize {
        self.depth(REFRESH_QUEUE)
    }

    /// The whole history of [`REPOSITORY`].
    pub async fn history(&self) -> Vec<Value> {
        let answer = self.get("/tests/results/acme/kit?limit=200").await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        answer.json()["results"].as_array().unwrap().clone()
    }

    /// Processes all visible results, until the queue is empty or cannot be read.
    pub async fn drain(&self) {
        while matches!(self.stack.results.poll(0).await, Ok(1..)) {}
    }

    /// The depth of the queue of results, in-flight messages included.
    pub fn queued(&self) -> usize {
        self.depth(RESULTS_QUEUE)
    }

    /// The depth of the dead-letter queue of results.
    pub fn dead_letters(&self) -> usize {
        self.depth(RESULTS_DEAD_LETTER_QUEUE)
    }

    /// An SDK configuration for this world that bypasses all faults.
    pub fn sdk_config(&self) -> SdkConfig {
        self.aws.sdk_config()
    }

    fn depth(&self, queue: &str) -> usize {
        self.aws.queues().depth(queue).unwrap()
    }
}

/// Waits for `future` on a thread of its own, since a test's runtime cannot wait inside of itself.
fn block_on<T: Send>(future: impl Future<Output = T> + Send) -> T {
    let run = || tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future);
    std::thread::scope(|scope| scope.spawn(run).join().unwrap())
}

fn github_token(of: &str, token: &str) -> GitHubToken {
    GitHubToken::new(of.parse().unwrap(), token).unwrap()
}

/// The SDK keeps one retry quota for each service and region in a process. A new region keeps the failures that one
/// test injects from using up the retries of another.
///
/// The SDK's protection against stalled streams would compare virtual with real time.
fn config_of_new_sandboxes(http_client: SharedHttpClient) -> SdkConfig {
    static SANDBOXES: AtomicUsize = AtomicUsize::new(0);
    let region = format!("local-{}", SANDBOXES.fetch_add(1, Ordering::Relaxed));
    let config = embedded_aws::config(http_client);
    config
        .into_builder()
        .region(Region::new(region))
        .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
        .build()
}
