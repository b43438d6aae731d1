//! The embedded services over HTTP, with the SDK that operators' tools use.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that cannot go on should stop")]

mod endpoint;
mod error_codes;
mod queues;
mod secrets;

use aws_credential_types::Credentials;
use aws_types::SdkConfig;
use badgesmith_aws::clock::Clock;
use badgesmith_aws::sdk;
use embedded_aws::endpoint::Endpoint;
use embedded_aws::template::Template;
use embedded_aws::{Aws, Storage};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// Services on a port of this machine.
struct Served {
    aws: Aws,
    clock: Clock,
    /// The configuration of an SDK that uses that port.
    config: SdkConfig,
    stop: CancellationToken,
    server: JoinHandle<()>,
}

/// Serves `storage` on a free port. The clock stands still at 2026-01-15T10:30:00Z until it is advanced.
async fn serve(storage: &Storage) -> Served {
    let clock = Clock::manual("2026-01-15T10:30:00Z".parse().unwrap());
    let aws = Aws::open(storage, &Template::load().unwrap(), &clock).unwrap();
    let endpoint = Endpoint::bind(0).await.unwrap();
    let url = format!("http://{}", endpoint.address());
    let stop = CancellationToken::new();
    let server = tokio::spawn(endpoint.serve(aws.clone(), stop.clone()));
    let credentials = Credentials::new("any", "any", None, None, "test");
    let http_client = aws_smithy_http_client::Builder::new().build_http();
    let config = sdk::config("us-east-1".to_owned(), credentials, http_client);
    Served { aws, clock, config: config.into_builder().endpoint_url(url).build(), stop, server }
}
