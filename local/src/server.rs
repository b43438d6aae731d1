//! The whole pipeline, served on a port of this machine.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use badgesmith_aws::clock::Clock;
use badgesmith_aws::sdk::AwsError;
use badgesmith_aws::secrets_manager::repository_secret_name;
use bytes::Bytes;
use http::{Request, Response, StatusCode};
use hyper::body::Incoming;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::gateway::{self, Gateway};
use crate::options::{GitHubToken, Secret};
use crate::poller::Poller;
use crate::scheduler;
use crate::stack::{Stack, Upstreams};
use embedded_aws::endpoint::Endpoint;
use embedded_aws::listener;
use embedded_aws::template::Template;
use embedded_aws::{Aws, OpenError, Storage};

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
    /// Nothing can listen there for requests to the embedded services.
    #[error("cannot listen on port {port} for AWS: {source}")]
    AwsPort {
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
    Register(#[from] AwsError),
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
    accepting: Vec<JoinHandle<()>>,
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
        let answering = Arc::clone(&stack);
        let accepting = listener::serve(listener, stop_accepting.clone(), SHUTDOWN_MAX, move |request| {
            let stack = Arc::clone(&answering);
            async move { answer(&stack.gateway, request).await }
        });
        let accepting = vec![tokio::spawn(accepting)];
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

    /// Has the embedded services answer requests at `endpoint` too.
    pub fn serve_aws(&mut self, endpoint: Endpoint) {
        let (aws, stop) = (self.aws.clone(), self.stop_accepting.clone());
        self.accepting.push(tokio::spawn(endpoint.serve(aws, stop)));
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
        join(self.accepting).await;
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

/// Answers one request, and logs it in one line.
async fn answer(gateway: &Gateway, request: Request<Incoming>) -> Response<Bytes> {
    let started = Instant::now();
    let (head, body) = request.into_parts();
    let (method, path) = (head.method.clone(), head.uri.path().to_owned());
    let response = match listener::read(body, BODY_BYTES_MAX).await {
        Ok(body) => gateway.answer(Request::from_parts(head, body)).await,
        Err(StatusCode::PAYLOAD_TOO_LARGE) => {
            gateway::plain(StatusCode::PAYLOAD_TOO_LARGE, r#"{"message":"Request Entity Too Large"}"#)
        }
        Err(status) => gateway::plain(status, r#"{"message":"Bad Request"}"#),
    };
    let milliseconds = started.elapsed().as_millis();
    tracing::info!("{method} {path} {} {milliseconds} ms", response.status().as_u16());
    response
}
