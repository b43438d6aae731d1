//! NuGet V3, GitHub Packages and GitHub's issuer of ID tokens on a local port, in place of api.nuget.org,
//! api.github.com and token.actions.githubusercontent.com.
//!
//! It serves only what a client of package versions requests, no search, no downloads, no HEAD, and what jobs and
//! verifiers of ID tokens request. It has no clock, except for tokens: its dates are invented, and a rate limit stays
//! exhausted until the test sets another one.

mod document;
mod fault;
mod github;
mod issuer;
mod nuget;
mod version;

use std::net::TcpListener;
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread::JoinHandle;
use std::time::Duration;

use bytes::Bytes;
use http::header::{ALLOW, IF_MODIFIED_SINCE, IF_NONE_MATCH};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, Request, Response};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::sync::oneshot;

pub use self::fault::UpstreamFault;
pub use self::github::{Account, Visibility};

use self::document::response;
use self::fault::Sent;
use self::github::GitHub;
use self::issuer::Issuer;
use self::nuget::Feed;

/// The prefix of GitHub's paths. NuGet's paths have none.
const GITHUB: &str = "/github";
/// The path of the issuer of ID tokens, as on a GitHub Enterprise Server.
const ISSUER: &str = "/_services/token";

/// Both upstreams at one address. Clones share the server, which stops with the last of them.
///
/// It has its own thread and runtime, so that a test's paused clock does not stop it. The exception is
/// [`Self::start_in_this_runtime`].
#[derive(Debug, Clone)]
pub struct Upstream {
    running: Arc<Running>,
}

#[derive(Debug, Clone)]
pub struct RecordedRequest {
    /// `GET` in most cases.
    pub method: Method,
    /// Path and query, such as `/v3-flatcontainer/acme.kit/index.json`.
    pub path: String,
    pub headers: HeaderMap,
    /// The status of the response; `None` if the connection was dropped.
    pub status: Option<u16>,
}

impl RecordedRequest {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}

impl Upstream {
    /// An upstream without packages, tokens and rate limit, on a free port of 127.0.0.1.
    pub fn start() -> Self {
        Self::start_at("127.0.0.1:0").unwrap()
    }

    /// The same at `HOST:PORT`, for clients with a fixed configuration. Its documents spell the host as it is
    /// spelled here.
    ///
    /// # Errors
    /// If it cannot listen there.
    pub fn start_at(place: &str) -> std::io::Result<Self> {
        let (listener, url, state) = listen(place)?;
        let (stop, stopped) = oneshot::channel();
        let served = Arc::clone(&state);
        let thread = std::thread::spawn(move || run(listener, &served, stopped));
        let running = Running { url, state, stop: Some(stop), thread: Some(thread) };
        Ok(Self { running: Arc::new(running) })
    }

    /// Starts both in the caller's runtime and on its clock, until that runtime ends.
    pub fn start_in_this_runtime() -> Self {
        let (listener, url, state) = listen("127.0.0.1:0").unwrap();
        tokio::spawn(accept(listener, Arc::clone(&state)));
        Self { running: Arc::new(Running { url, state, stop: None, thread: None }) }
    }

    /// `http://127.0.0.1:PORT`.
    pub fn url(&self) -> String {
        self.running.url.clone()
    }

    /// The URL of NuGet's service index.
    pub fn nuget_service_index(&self) -> String {
        format!("{}/v3/index.json", self.url())
    }

    /// The URL in place of `https://api.github.com`.
    pub fn github_api(&self) -> String {
        format!("{}{GITHUB}", self.url())
    }

    /// The URL in place of `https://token.actions.githubusercontent.com`.
    pub fn issuer(&self) -> String {
        format!("{}{ISSUER}", self.url())
    }

    /// Sets the issuer's key set to any JSON.
    pub fn set_key_set(&self, key_set: &Value) {
        self.state().issuer.set_key_set(key_set);
    }

    /// Sets the issuer's discovery document to any JSON.
    pub fn set_discovery(&self, discovery: &Value) {
        self.state().issuer.set_discovery(discovery);
    }

    /// Publishes NuGet versions in this order, as one change. Lists a version again that exists.
    ///
    /// # Panics
    /// If a version is invalid for NuGet.
    pub fn publish(&self, id: &str, versions: &[&str]) {
        self.state().feed.publish(id, versions);
    }

    /// Unlists a NuGet version.
    pub fn unlist(&self, id: &str, version: &str) {
        self.state().feed.list(id, version, false);
    }

    /// Lists a NuGet version again.
    pub fn relist(&self, id: &str, version: &str) {
        self.state().feed.list(id, version, true);
    }

    /// Deletes a NuGet package.
    pub fn remove(&self, id: &str) {
        self.state().feed.remove(id);
    }

    /// Removes the registrations from the service index, as in simple feeds that have only `PackageBaseAddress/3.0.0`.
    pub fn leave_out_registrations(&self) {
        self.state().feed.leave_out_registrations();
    }

    /// Publishes GitHub versions, the newest last, and sets the package's visibility. GitHub accepts any text as a
    /// version.
    pub fn github_publish(
        &self,
        account: Account<'_>,
        package: &str,
        visibility: Visibility,
        versions: &[&str],
    ) {
        self.github_publish_as("nuget", account, package, visibility, versions);
    }

    /// The same for a type of packages: `nuget`, `npm` or `container`. The versions of an image are its tags, separated
    /// by commas.
    pub fn github_publish_as(
        &self,
        package_type: &'static str,
        account: Account<'_>,
        package: &str,
        visibility: Visibility,
        versions: &[&str],
    ) {
        self.state().github.publish(account, package_type, package, visibility, versions);
    }

    /// Makes the names of packages on GitHub case-sensitive.
    pub fn github_match_names_exactly(&self) {
        self.state().github.match_names_exactly();
    }

    /// Deletes a GitHub version.
    pub fn github_delete_version(&self, account: Account<'_>, package: &str, version: &str) {
        self.state().github.delete_version(account, package, version);
    }

    pub fn github_set_visibility(&self, account: Account<'_>, package: &str, visibility: Visibility) {
        self.state().github.set_visibility(account, package, visibility);
    }

    /// Adds a token with `read:packages`. It reads the private packages of these accounts.
    pub fn github_token(&self, token: &str, sees_private_of: &[&str]) {
        self.state().github.set_token(token, true, sees_private_of);
    }

    /// Adds a token without `read:packages`.
    pub fn github_token_without_scope(&self, token: &str) {
        self.state().github.set_token(token, false, &[]);
    }

    pub fn github_revoke_token(&self, token: &str) {
        self.state().github.revoke_token(token);
    }

    /// Sets the number of requests that are left of the primary rate limit, which all tokens share. Responses with 304
    /// or 401 do not count. At zero every request is rejected, conditional or not: GitHub does not document an
    /// exception. Nothing happens at `reset`; the test sets a new limit.
    pub fn github_limit(&self, remaining: u64, reset_epoch_seconds: i64) {
        self.state().github.set_limit(remaining, reset_epoch_seconds);
    }

    /// Injects a fault into the next `times` requests whose path and query contain `part`, after the faults that
    /// are planned already.
    pub fn plan_fault(&self, part: &str, fault: UpstreamFault, times: usize) {
        let planned = Planned { part: part.to_owned(), fault, left: times };
        self.state().planned.push(planned);
    }

    /// Removes all planned faults.
    pub fn heal(&self) {
        self.state().planned.clear();
    }

    /// Delays every response.
    pub fn set_latency(&self, latency: Duration) {
        self.state().latency = latency;
    }

    /// Takes the requests so far, in order of arrival.
    pub fn take_requests(&self) -> Vec<RecordedRequest> {
        std::mem::take(&mut self.state().requests)
    }

    /// The number of requests so far that [`Self::take_requests`] has not taken.
    pub fn request_count(&self) -> usize {
        self.state().requests.len()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.running.state.lock().unwrap()
    }
}

/// The thread that serves, which ends with this.
#[derive(Debug)]
struct Running {
    url: String,
    state: Arc<Mutex<State>>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // A panic there has been printed already.
            thread.join().ok();
        }
    }
}

#[derive(Debug)]
struct State {
    feed: Feed,
    github: GitHub,
    issuer: Issuer,
    planned: Vec<Planned>,
    latency: Duration,
    requests: Vec<RecordedRequest>,
}

#[derive(Debug)]
struct Planned {
    part: String,
    fault: UpstreamFault,
    left: usize,
}

struct Reply {
    after: Duration,
    /// `None` drops the connection.
    response: Option<Response<Sent>>,
}

impl State {
    fn new(base: &str) -> Self {
        Self {
            feed: Feed::new(base),
            github: GitHub::new(&format!("{base}{GITHUB}")),
            issuer: Issuer::new(format!("{base}{ISSUER}")),
            planned: Vec::new(),
            latency: Duration::ZERO,
            requests: Vec::new(),
        }
    }

    /// Chooses the response immediately, whatever the delay.
    fn reply(&mut self, head: &Parts) -> Reply {
        let path = head.uri.path_and_query().map_or("/", |path| path.as_str());
        let fault = self.fault(path);
        let response = match &fault {
            None => Some(self.answer(head).map(Sent::whole)),
            Some(fault) => fault.answer(|conditional| self.answer(&with_conditions(head, conditional))),
        };
        self.requests.push(RecordedRequest {
            method: head.method.clone(),
            path: path.to_owned(),
            headers: head.headers.clone(),
            status: response.as_ref().map(|response| response.status().as_u16()),
        });
        let slowed = fault.map_or(Duration::ZERO, |fault| fault.delay());
        Reply { after: self.latency + slowed, response }
    }

    fn fault(&mut self, path: &str) -> Option<UpstreamFault> {
        let planned =
            self.planned.iter_mut().find(|planned| planned.left > 0 && path.contains(&planned.part))?;
        planned.left -= 1;
        Some(planned.fault.clone())
    }

    fn answer(&mut self, head: &Parts) -> Response<Bytes> {
        if head.method != Method::GET {
            let mut refused = response(405, "text/plain", "only GET");
            refused.headers_mut().insert(ALLOW, HeaderValue::from_static("GET"));
            return refused;
        }
        let path = head.uri.path();
        if let Some(path) = path.strip_prefix(ISSUER) {
            return self.issuer.answer(path, head.uri.query().unwrap_or_default(), &head.headers);
        }
        match path.strip_prefix(GITHUB) {
            Some(path) if path.starts_with('/') => {
                self.github.answer(path, head.uri.query().unwrap_or_default(), &head.headers)
            }
            Some(_) | None => self.feed.answer(path, &head.headers),
        }
    }
}

/// The request with or without its conditions.
fn with_conditions(head: &Parts, conditional: bool) -> Parts {
    let mut head = head.clone();
    if !conditional {
        head.headers.remove(IF_NONE_MATCH);
        head.headers.remove(IF_MODIFIED_SINCE);
    }
    head
}

/// A listener at `HOST:PORT`, its URL, and the state of an upstream there.
fn listen(place: &str) -> std::io::Result<(TcpListener, String, Arc<Mutex<State>>)> {
    let listener = TcpListener::bind(place)?;
    let host = place.rsplit_once(':').map_or(place, |(host, _)| host);
    let url = format!("http://{host}:{}", listener.local_addr()?.port());
    let state = Arc::new(Mutex::new(State::new(&url)));
    Ok((listener, url, state))
}

/// Serves until the sender is dropped, then aborts all connections.
fn run(listener: TcpListener, state: &Arc<Mutex<State>>, stopped: oneshot::Receiver<()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.spawn(accept(listener, Arc::clone(state)));
    // An error: the sender is dropped without a value.
    runtime.block_on(stopped).ok();
}

async fn accept(listener: TcpListener, state: Arc<Mutex<State>>) {
    listener.set_nonblocking(true).unwrap();
    let listener = tokio::net::TcpListener::from_std(listener).unwrap();
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        // Sends small responses immediately.
        stream.set_nodelay(true).unwrap();
        let state = Arc::clone(&state);
        let service = service_fn(move |request| serve(Arc::clone(&state), request));
        let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
        tokio::spawn(async move {
            // Clients and faults may end a connection.
            connection.await.ok();
        });
    }
}

/// hyper drops the connection on an error.
async fn serve(
    state: Arc<Mutex<State>>,
    request: Request<Incoming>,
) -> Result<Response<Sent>, std::io::Error> {
    let (head, _) = request.into_parts();
    let reply = state.lock().unwrap().reply(&head);
    if !reply.after.is_zero() {
        tokio::time::sleep(reply.after).await;
    }
    reply.response.ok_or_else(|| std::io::ErrorKind::ConnectionReset.into())
}
