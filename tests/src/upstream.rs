//! NuGet V3 and GitHub Packages as they are on the wire, on a port of this machine: what the tests and the
//! benchmark fetch versions from instead of api.nuget.org and api.github.com.
//!
//! It knows only what a client of package versions asks for: no search, no downloads, no HEAD. It holds no
//! clock: its dates are made up, and a limit that was reached stays so until the test sets another.

mod document;
mod fault;
mod github;
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
use tokio::sync::oneshot;

pub use self::fault::UpstreamFault;
pub use self::github::{Account, Visibility};

use self::document::response;
use self::fault::Sent;
use self::github::GitHub;
use self::nuget::Feed;

/// The paths of GitHub begin with this, those of NuGet do not.
const GITHUB: &str = "/github";

/// Both upstreams, at one address. Clones are the same; it stops when the last is dropped.
///
/// It runs on a thread and a runtime of its own, so that a test's paused clock does not hold it up.
#[derive(Debug, Clone)]
pub struct Upstream {
    running: Arc<Running>,
}

/// One request that came in.
#[derive(Debug, Clone)]
pub struct RecordedRequest {
    /// `GET`, mostly.
    pub method: Method,
    /// Path and query, as they came: `/v3-flatcontainer/acme.kit/index.json`.
    pub path: String,
    /// All headers.
    pub headers: HeaderMap,
    /// What was answered, or is about to be; nothing if the connection was dropped.
    pub status: Option<u16>,
}

impl RecordedRequest {
    /// The value of a header.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}

impl Upstream {
    /// An upstream with no packages, no tokens and no limit, on a free port of 127.0.0.1.
    pub fn start() -> Self {
        Self::start_at("127.0.0.1:0").unwrap()
    }

    /// The same at `HOST:PORT`, for clients that were told beforehand where it will be. Its documents name
    /// the host as it is written here.
    ///
    /// # Errors
    /// When it cannot listen there.
    pub fn start_at(place: &str) -> std::io::Result<Self> {
        let listener = TcpListener::bind(place)?;
        let host = place.rsplit_once(':').map_or(place, |(host, _)| host);
        let url = format!("http://{host}:{}", listener.local_addr()?.port());
        let state = Arc::new(Mutex::new(State::new(&url)));
        let (stop, stopped) = oneshot::channel();
        let served = Arc::clone(&state);
        let thread = std::thread::spawn(move || run(listener, &served, stopped));
        let running = Running { url, state, stop: Some(stop), thread: Some(thread) };
        Ok(Self { running: Arc::new(running) })
    }

    /// `http://127.0.0.1:PORT`.
    pub fn url(&self) -> String {
        self.running.url.clone()
    }

    /// Where a client of NuGet begins.
    pub fn nuget_service_index(&self) -> String {
        format!("{}/v3/index.json", self.url())
    }

    /// What stands for `https://api.github.com`.
    pub fn github_api(&self) -> String {
        format!("{}{GITHUB}", self.url())
    }

    /// NuGet gets versions of a package, listed, in one go and in this order. One that was there is listed
    /// again. What is no version of NuGet's it refuses by a panic.
    pub fn publish(&self, id: &str, versions: &[&str]) {
        self.state().feed.publish(id, versions);
    }

    /// Hides a version of NuGet's: it may be downloaded, and is not to be shown.
    pub fn unlist(&self, id: &str, version: &str) {
        self.state().feed.list(id, version, false);
    }

    /// Shows a version again that was unlisted.
    pub fn relist(&self, id: &str, version: &str) {
        self.state().feed.list(id, version, true);
    }

    /// NuGet has no such package any more.
    pub fn remove(&self, id: &str) {
        self.state().feed.remove(id);
    }

    /// The service index offers `PackageBaseAddress/3.0.0` only, as simple feeds do.
    pub fn leave_out_registrations(&self) {
        self.state().feed.leave_out_registrations();
    }

    /// GitHub gets versions of a package, the last of them the newest. Any name will do for a version. The
    /// package has this visibility from now on.
    pub fn github_publish(
        &self,
        account: Account<'_>,
        package: &str,
        visibility: Visibility,
        versions: &[&str],
    ) {
        self.state().github.publish(account, package, visibility, versions);
    }

    /// GitHub has no such package any more.
    pub fn github_delete(&self, account: Account<'_>, package: &str) {
        self.state().github.delete(account, package);
    }

    /// GitHub has no such version any more; the others stay in their order.
    pub fn github_delete_version(&self, account: Account<'_>, package: &str, version: &str) {
        self.state().github.delete_version(account, package, version);
    }

    /// Who sees a package of GitHub's.
    pub fn github_set_visibility(&self, account: Account<'_>, package: &str, visibility: Visibility) {
        self.state().github.set_visibility(account, package, visibility);
    }

    /// A token with `read:packages`. Of what is not public it sees the packages of these accounts.
    pub fn github_token(&self, token: &str, sees_private_of: &[&str]) {
        self.state().github.set_token(token, true, sees_private_of);
    }

    /// A token without `read:packages`.
    pub fn github_token_without_scope(&self, token: &str) {
        self.state().github.set_token(token, false, &[]);
    }

    /// The token is as good as none.
    pub fn github_revoke_token(&self, token: &str) {
        self.state().github.revoke_token(token);
    }

    /// The primary limit, which all tokens share: so many requests more are answered. Those answered with
    /// 304 or 401 do not count. At zero every request is refused, whether it is conditional or not, since
    /// GitHub does not say that it spares those. Nothing happens at `reset`: the test sets a new limit.
    pub fn github_limit(&self, remaining: u64, reset_epoch_seconds: i64) {
        self.state().github.set_limit(remaining, reset_epoch_seconds);
    }

    /// The next `times` requests whose path and query contain `part` go wrong. What was planned first comes
    /// first.
    pub fn plan_fault(&self, part: &str, how: UpstreamFault, times: usize) {
        let planned = Planned { part: part.to_owned(), how, left: times };
        self.state().planned.push(planned);
    }

    /// Nothing that was planned goes wrong any more.
    pub fn heal(&self) {
        self.state().planned.clear();
    }

    /// From now on each answer waits that long.
    pub fn set_latency(&self, latency: Duration) {
        self.state().latency = latency;
    }

    /// The requests so far, in the order in which they came; forgets them.
    pub fn take_requests(&self) -> Vec<RecordedRequest> {
        std::mem::take(&mut self.state().asked)
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
            // It has told of its panic itself.
            thread.join().ok();
        }
    }
}

#[derive(Debug)]
struct State {
    feed: Feed,
    github: GitHub,
    planned: Vec<Planned>,
    latency: Duration,
    asked: Vec<RecordedRequest>,
}

#[derive(Debug)]
struct Planned {
    part: String,
    how: UpstreamFault,
    left: usize,
}

/// What becomes of a request.
struct Reply {
    after: Duration,
    /// Without one the connection is dropped.
    response: Option<Response<Sent>>,
}

impl State {
    fn new(base: &str) -> Self {
        Self {
            feed: Feed::new(base),
            github: GitHub::new(&format!("{base}{GITHUB}")),
            planned: Vec::new(),
            latency: Duration::ZERO,
            asked: Vec::new(),
        }
    }

    /// Decides at once what is answered, however long it then takes to arrive.
    fn reply(&mut self, head: &Parts) -> Reply {
        let path = head.uri.path_and_query().map_or("/", |path| path.as_str());
        let fault = self.fault(path);
        let response = match &fault {
            None => Some(self.truth(head).map(Sent::whole)),
            Some(how) => how.answer(|conditional| self.truth(&considering(head, conditional))),
        };
        self.asked.push(RecordedRequest {
            method: head.method.clone(),
            path: path.to_owned(),
            headers: head.headers.clone(),
            status: response.as_ref().map(|response| response.status().as_u16()),
        });
        let slowed = fault.map_or(Duration::ZERO, |how| how.delay());
        Reply { after: self.latency + slowed, response }
    }

    fn fault(&mut self, path: &str) -> Option<UpstreamFault> {
        let planned =
            self.planned.iter_mut().find(|planned| planned.left > 0 && path.contains(&planned.part))?;
        planned.left -= 1;
        Some(planned.how.clone())
    }

    fn truth(&mut self, head: &Parts) -> Response<Bytes> {
        if head.method != Method::GET {
            let mut refused = response(405, "text/plain", "only GET");
            refused.headers_mut().insert(ALLOW, HeaderValue::from_static("GET"));
            return refused;
        }
        let path = head.uri.path();
        match path.strip_prefix(GITHUB) {
            Some(path) if path.starts_with('/') => {
                self.github.answer(path, head.uri.query().unwrap_or_default(), &head.headers)
            }
            Some(_) | None => self.feed.answer(path, &head.headers),
        }
    }
}

/// The request, with its conditions or without.
fn considering(head: &Parts, conditional: bool) -> Parts {
    let mut head = head.clone();
    if !conditional {
        head.headers.remove(IF_NONE_MATCH);
        head.headers.remove(IF_MODIFIED_SINCE);
    }
    head
}

/// Serves until it is told to stop, then drops what is at work.
fn run(listener: TcpListener, state: &Arc<Mutex<State>>, stopped: oneshot::Receiver<()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.spawn(accept(listener, Arc::clone(state)));
    // Nothing is ever sent: the sender is dropped, and that is an error.
    runtime.block_on(stopped).ok();
}

async fn accept(listener: TcpListener, state: Arc<Mutex<State>>) {
    listener.set_nonblocking(true).unwrap();
    let listener = tokio::net::TcpListener::from_std(listener).unwrap();
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        // Small answers are not to wait for more.
        stream.set_nodelay(true).unwrap();
        let state = Arc::clone(&state);
        let service = service_fn(move |request| serve(Arc::clone(&state), request));
        let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
        tokio::spawn(async move {
            // A client that breaks off is its own affair, and a fault is meant to end like this.
            connection.await.ok();
        });
    }
}

/// An error makes hyper drop the connection.
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

#[cfg(test)]
mod tests;
