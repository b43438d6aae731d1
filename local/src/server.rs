//! The whole pipeline, served on a port of this machine.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use badgesmith_shared::clock::Clock;
use badgesmith_shared::sdk::CallError;
use badgesmith_shared::secrets_manager::repository_secret_name;
use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::aws::{Aws, OpenError, Storage};
use crate::gateway::{self, Gateway};
use crate::options::{GitHubToken, Secret};
use crate::poller::Poller;
use crate::scheduler;
use crate::stack::{Stack, Upstreams};
use crate::template::Template;

/// API Gateway takes no larger body.
const BODY_BYTES_MAX: usize = 10 * 1024 * 1024;
/// As many batches are processed at once, the least that an event source mapping can be limited to.
const POLLERS: usize = 2;
/// How often expired items and messages are deleted. It reads whole tables, and AWS takes days.
const SWEEP_PERIOD: Duration = Duration::from_hours(1);
/// Upstreams may take long, and a stop waits no longer for them.
const REFRESHES_MAX: Duration = Duration::from_secs(3);
/// A client that does not finish its request by then holds up no shutdown.
const SHUTDOWN_MAX: Duration = Duration::from_secs(10);

/// Why the pipeline does not run.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Nothing can listen there.
    #[error("cannot listen on port {port}: {source}")]
    Port {
        /// The port that was asked for.
        port: u16,
        /// Why not.
        source: std::io::Error,
    },
    /// The embedded services did not start.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// A token cannot be registered.
    #[error(transparent)]
    Register(#[from] CallError),
}

/// What the pipeline is started with.
#[derive(Debug)]
pub struct Setup {
    /// Where the data goes.
    pub storage: Storage,
    /// Where to listen; 0 takes a free port.
    pub port: u16,
    /// The keys of repositories, to be registered.
    pub secrets: Vec<Secret>,
    /// Tokens for GitHub, to be registered.
    pub tokens: Vec<GitHubToken>,
    /// Where packages come from.
    pub upstreams: Upstreams,
    /// How often what is due is looked up.
    pub refresh_every: Duration,
}

/// The running pipeline.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    aws: Aws,
    stack: Arc<Stack>,
    accepting: JoinHandle<()>,
    stop_accepting: CancellationToken,
    working: Vec<JoinHandle<()>>,
    refreshing: Vec<JoinHandle<()>>,
    stop_working: CancellationToken,
}

impl Server {
    /// Opens the services, registers keys and tokens, and starts to answer requests on 127.0.0.1.
    ///
    /// # Errors
    /// [`StartError`] says what is in the way.
    pub async fn start(setup: Setup) -> Result<Self, StartError> {
        let Setup { storage, port, secrets, tokens, upstreams, refresh_every } = setup;
        let clock = Clock::System;
        let listener = TcpListener::bind(("127.0.0.1", port)).await;
        let unusable = |source| StartError::Port { port, source };
        let listener = listener.map_err(unusable)?;
        let address = listener.local_addr().map_err(unusable)?;
        let template = Template::load().map_err(OpenError::from)?;
        let aws = Aws::open(&storage, &template, &clock)?;
        for secret in secrets {
            let name = repository_secret_name(&secret.repository);
            aws.secrets().put(&name, &secret.value).map_err(OpenError::from)?;
        }
        for token in tokens {
            token.register(&aws, clock.now()).await?;
        }
        let stack = Arc::new(Stack::new(&aws.sdk_config(), &upstreams, &clock));

        let stop_accepting = CancellationToken::new();
        let accepting = tokio::spawn(accept(listener, Arc::clone(&stack), stop_accepting.clone()));
        let stop_working = CancellationToken::new();
        let poll = |poller: &Poller| {
            let (poller, stop) = (poller.clone(), stop_working.clone());
            tokio::spawn(async move { poller.run(stop).await })
        };
        let mut working: Vec<_> = (0..POLLERS).map(|_| poll(&stack.results)).collect();
        let swept = aws.clone();
        working.push(tokio::spawn(scheduler::every(SWEEP_PERIOD, stop_working.clone(), move || {
            sweep(swept.clone())
        })));
        let mut refreshing: Vec<_> = (0..POLLERS).map(|_| poll(&stack.requests)).collect();
        let refreshed = Arc::clone(&stack);
        refreshing.push(tokio::spawn(scheduler::every(refresh_every, stop_working.clone(), move || {
            refresh_due(Arc::clone(&refreshed))
        })));
        Ok(Self { address, aws, stack, accepting, stop_accepting, working, refreshing, stop_working })
    }

    /// Where requests are answered.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The embedded services.
    pub fn aws(&self) -> &Aws {
        &self.aws
    }

    /// What answers the requests.
    pub fn gateway(&self) -> &Gateway {
        &self.stack.gateway
    }

    /// Stops accepting requests, finishes those at work, drains the queue, and returns.
    pub async fn stop(self) {
        self.stop_accepting.cancel();
        join(vec![self.accepting]).await;
        self.stop_working.cancel();
        let handles: Vec<_> = self.refreshing.iter().map(JoinHandle::abort_handle).collect();
        if tokio::time::timeout(REFRESHES_MAX, join(self.refreshing)).await.is_err() {
            // It is due again: its lease ends, its request is still there.
            tracing::info!(
                "packages that were being looked up are looked up again two minutes after the next start"
            );
            for handle in handles {
                handle.abort();
            }
        }
        join(self.working).await;
    }
}

/// Waits until all of these tasks have ended.
async fn join(tasks: Vec<JoinHandle<()>>) {
    for task in tasks {
        if let Err(error) = task.await {
            tracing::error!(%error, "a background task failed");
        }
    }
}

async fn refresh_due(stack: Arc<Stack>) {
    if let Err(error) = stack.refresh_due().await {
        tracing::error!(%error, "what is due was not refreshed");
    }
}

async fn sweep(aws: Aws) {
    if let Err(error) = aws.sweep().await {
        tracing::error!(error, "expired items were not deleted");
    }
}

/// Accepts connections until told to stop, then waits for the requests at work.
async fn accept(listener: TcpListener, stack: Arc<Stack>, stop: CancellationToken) {
    let graceful = GracefulShutdown::new();
    loop {
        let stream = tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => stream,
                Err(error) => {
                    // Out of file descriptors, most likely: let some connections end.
                    tracing::error!(%error, "a connection was not accepted");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    continue;
                }
            },
            () = stop.cancelled() => break,
        };
        // Small answers are not to wait for more.
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "no TCP_NODELAY");
        }
        let stack = Arc::clone(&stack);
        let service = service_fn(move |request| {
            let stack = Arc::clone(&stack);
            async move { Ok::<_, Infallible>(answer(&stack.gateway, request).await) }
        });
        let connection =
            http1::Builder::new().timer(TokioTimer::new()).serve_connection(TokioIo::new(stream), service);
        let connection = graceful.watch(connection);
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "a connection broke");
            }
        });
    }
    drop(listener);
    if tokio::time::timeout(SHUTDOWN_MAX, graceful.shutdown()).await.is_err() {
        tracing::warn!("some requests were cut off");
    }
}

/// Answers one request, and logs it in one line.
async fn answer(gateway: &Gateway, request: Request<Incoming>) -> Response<Full<Bytes>> {
    let started = Instant::now();
    let (head, body) = request.into_parts();
    let (method, path) = (head.method.clone(), head.uri.path().to_owned());
    let response = match Limited::new(body, BODY_BYTES_MAX).collect().await {
        Ok(body) => gateway.answer(Request::from_parts(head, body.to_bytes())).await,
        Err(error) if error.is::<LengthLimitError>() => {
            gateway::plain(StatusCode::PAYLOAD_TOO_LARGE, r#"{"message":"Request Entity Too Large"}"#)
        }
        // The client broke off, and will hardly see this.
        Err(_) => gateway::plain(StatusCode::BAD_REQUEST, r#"{"message":"Bad Request"}"#),
    };
    let milliseconds = started.elapsed().as_millis();
    tracing::info!("{method} {path} {} {milliseconds} ms", response.status().as_u16());
    response.map(Full::new)
}
