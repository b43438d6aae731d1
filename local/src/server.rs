//! The running pipeline: an HTTP server, pollers and schedules.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use badgesmith_aws::clock::Clock;
use badgesmith_aws::dynamodb::StoreError;
use badgesmith_domain::service_url::ServiceUrl;
use bytes::Bytes;
use embedded_aws::endpoint::Endpoint;
use embedded_aws::listener;
use embedded_aws::template::Template;
use embedded_aws::{Aws, OpenError};
use http::{Request, Response, StatusCode};
use hyper::body::Incoming;
use percent_encoding::{CONTROLS, utf8_percent_encode};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::config::Config;
use crate::gateway::{self, Gateway};
use crate::hosts::Hosts;
use crate::poller::Poller;
use crate::scheduler;
use crate::stack::{RESULTS_QUEUE, Stack};

/// The largest request body. API Gateway has 10 MB, but a result has at most 64 KiB, and each connection may hold one.
const BODY_BYTES_MAX: usize = 128 * 1024;
/// Concurrent batches of a queue: the lowest `MaximumConcurrency` of an event source mapping.
const POLLERS: usize = 2;
/// How often expired items and messages are deleted. Each sweep scans whole tables; AWS may take days.
const SWEEP_PERIOD: Duration = Duration::from_hours(1);
/// How long shutdown waits for fetches from upstreams.
const REFRESHES_MAX: Duration = Duration::from_secs(3);
/// How long the start waits for the keys of an issuer of ID tokens.
const ISSUER_KEYS_MAX: Duration = Duration::from_secs(5);
/// The body of the response to a request for another host.
const UNKNOWN_HOST: &str =
    r#"{"message":"Misdirected Request: expected an IP address, localhost or the host of --public-url"}"#;
/// How long shutdown waits for HTTP requests.
const SHUTDOWN_MAX: Duration = Duration::from_secs(10);

/// Why the pipeline did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error("cannot listen on {address}: {source}")]
    Address { address: SocketAddr, source: std::io::Error },
    #[error("cannot listen on port {port} for AWS: {source}")]
    AwsPort { port: u16, source: std::io::Error },
    #[error(transparent)]
    Open(#[from] OpenError),
    /// A key or a GitHub token was not registered.
    #[error(transparent)]
    Register(#[from] StoreError),
}

/// The running pipeline. Shutdown ends its tasks in two steps: first those that accept requests, then the others.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    aws: Aws,
    stack: Arc<Stack>,
    listeners: Vec<JoinHandle<()>>,
    stop_listeners: CancellationToken,
    /// Process results, and delete expired items.
    workers: Vec<JoinHandle<()>>,
    /// Refresh packages, which may take longer than shutdown waits.
    refreshers: Vec<JoinHandle<()>>,
    stop_workers: CancellationToken,
}

impl Server {
    /// Opens the embedded services, registers keys and tokens, and starts to answer requests.
    ///
    /// # Errors
    /// [`StartError`] when an address, the data directory, a key or a token cannot be used.
    pub async fn start(config: Config) -> Result<Self, StartError> {
        let Config { storage, listen, port, secrets, tokens, mut upstreams, refresh_every, public_url } =
            config;
        let clock = Clock::System;
        let address = SocketAddr::new(listen, port);
        let listener = TcpListener::bind(address).await;
        let unusable = |source| StartError::Address { address, source };
        let listener = listener.map_err(unusable)?;
        let address = listener.local_addr().map_err(unusable)?;
        let template = Template::load().map_err(OpenError::from)?;
        let aws = Aws::open(&storage, &template, &clock)?;
        for secret in secrets {
            secret.register(&aws, clock.now()).await?;
        }
        for token in tokens {
            token.register(&aws, clock.now()).await.map_err(StoreError::from)?;
        }
        let hosts = Arc::new(Hosts::new(public_url.as_ref()));
        let public_url = public_url.or_else(|| own_urls(address).next());
        if let Some(oidc) = &mut upstreams.oidc {
            oidc.services.extend(public_url.clone().into_iter().chain(own_urls(address)));
        }
        let stack = Arc::new(Stack::new(&aws.sdk_config(), &upstreams, public_url, &clock));
        let started = Arc::clone(&stack);
        let mut issuer_keys = tokio::spawn(async move { started.refresh_issuer_keys().await });
        // Before the first request: without the keys, the client of a keyless request has to wait for a minute.
        let issuer_keys =
            tokio::time::timeout(ISSUER_KEYS_MAX, &mut issuer_keys).await.is_err().then_some(issuer_keys);
        let stop_listeners = CancellationToken::new();
        let served = Arc::clone(&stack);
        let listener = listener::serve(listener, stop_listeners.clone(), SHUTDOWN_MAX, move |request| {
            let (stack, hosts) = (Arc::clone(&served), Arc::clone(&hosts));
            async move { answer(&stack.gateway, &hosts, request).await }
        });
        let listeners = vec![tokio::spawn(listener)];
        let stop_workers = CancellationToken::new();
        let poll = |poller: &Poller| {
            let (poller, stop) = (poller.clone(), stop_workers.clone());
            tokio::spawn(async move { poller.run(stop).await })
        };
        let mut workers: Vec<_> = (0..POLLERS).map(|_| poll(&stack.results)).collect();
        let swept = aws.clone();
        workers.push(tokio::spawn(scheduler::every(SWEEP_PERIOD, stop_workers.clone(), move || {
            sweep(swept.clone())
        })));
        let mut refreshers: Vec<_> = (0..POLLERS).map(|_| poll(&stack.requests)).collect();
        refreshers.extend(issuer_keys);
        let refreshed = Arc::clone(&stack);
        refreshers.push(tokio::spawn(scheduler::every(refresh_every, stop_workers.clone(), move || {
            refresh_due(Arc::clone(&refreshed))
        })));
        Ok(Self { address, aws, stack, listeners, stop_listeners, workers, refreshers, stop_workers })
    }

    /// Serves the embedded services at `endpoint` until the pipeline stops.
    pub fn serve_aws(&mut self, endpoint: Endpoint) {
        let (aws, stop) = (self.aws.clone(), self.stop_listeners.clone());
        self.listeners.push(tokio::spawn(endpoint.serve(aws, stop)));
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    pub fn aws(&self) -> &Aws {
        &self.aws
    }

    pub fn gateway(&self) -> &Gateway {
        &self.stack.gateway
    }

    /// Stops accepting requests, finishes those in progress, and drains the queue of results. Returns how many results
    /// stayed in it, because they cannot be stored now. The next start processes them.
    ///
    /// # Errors
    /// [`OpenError::Sqlite`] when the queue cannot be read.
    pub async fn stop(self) -> Result<usize, OpenError> {
        self.stop_listeners.cancel();
        join(self.listeners).await;
        self.stop_workers.cancel();
        let handles: Vec<_> = self.refreshers.iter().map(JoinHandle::abort_handle).collect();
        if tokio::time::timeout(REFRESHES_MAX, join(self.refreshers)).await.is_err() {
            // They are due again: their leases expire, and their requests stay in the queue.
            tracing::info!(
                "interrupted the refresh of packages; it is repeated two minutes after the next start"
            );
            for handle in handles {
                handle.abort();
            }
        }
        join(self.workers).await;
        Ok(self.aws.queues().depth(RESULTS_QUEUE)?)
    }
}

/// The URLs of the pipeline on this machine.
fn own_urls(address: SocketAddr) -> impl Iterator<Item = ServiceUrl> {
    let ip = if address.ip().is_unspecified() { Ipv4Addr::LOCALHOST.into() } else { address.ip() };
    let port = address.port();
    let authorities = [SocketAddr::new(ip, port).to_string(), format!("localhost:{port}")];
    authorities.into_iter().filter_map(|authority| format!("http://{authority}").parse().ok())
}

async fn join(tasks: Vec<JoinHandle<()>>) {
    for task in tasks {
        if let Err(error) = task.await {
            tracing::error!(%error, "a background task failed");
        }
    }
}

async fn refresh_due(stack: Arc<Stack>) {
    if let Err(error) = stack.refresh_due().await {
        tracing::error!(%error, "failed to refresh the packages that are due");
    }
}

async fn sweep(aws: Aws) {
    if let Err(error) = aws.sweep().await {
        tracing::error!(error, "failed to delete expired items");
    }
}

/// Answers one request, and logs it on one line.
async fn answer(gateway: &Gateway, hosts: &Hosts, request: Request<Incoming>) -> Response<Bytes> {
    let started = Instant::now();
    let (head, body) = request.into_parts();
    let method = head.method.clone();
    // Without characters that reorder the text of a terminal.
    let path = utf8_percent_encode(head.uri.path(), CONTROLS).to_string();
    let response = match listener::read(body, BODY_BYTES_MAX).await {
        Ok(_) if !hosts.allow(&head) => gateway::plain(StatusCode::MISDIRECTED_REQUEST, UNKNOWN_HOST),
        Ok(body) => gateway.answer(Request::from_parts(head, body)).await,
        Err(status @ StatusCode::PAYLOAD_TOO_LARGE) => {
            gateway::plain(status, r#"{"message":"Request Entity Too Large"}"#)
        }
        Err(status @ StatusCode::REQUEST_TIMEOUT) => {
            gateway::plain(status, r#"{"message":"Request Timeout"}"#)
        }
        Err(status) => gateway::plain(status, r#"{"message":"Bad Request"}"#),
    };
    let milliseconds = started.elapsed().as_millis();
    tracing::info!("{method} {path} {} {milliseconds} ms", response.status().as_u16());
    response
}
