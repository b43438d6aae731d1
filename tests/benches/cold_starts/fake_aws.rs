//! The AWS that the functions call while they are measured.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use aws_smithy_runtime_api::client::http::{HttpConnector, HttpConnectorFuture};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use embedded_aws::Aws;
use tests::endpoint::{Endpoint, aws_with};
use tests::events;
use tests::function::Function;

/// More than badge-api keeps in memory: if they are read one after the other, each badge is read from the table.
pub(crate) const BRANCHES: usize = 1200;

/// The beginning of a reservation's key.
const RESERVATION: &str = "NONCE#";

/// The embedded services over TLS.
pub(crate) struct FakeAws {
    endpoint: Endpoint,
}

/// A branch that has a result.
pub(crate) fn branch(number: usize) -> String {
    // The probe reads that of the first one.
    if number == 0 { "main".to_owned() } else { format!("branch-{number}") }
}

impl FakeAws {
    pub(crate) async fn start() -> Self {
        let stored: Vec<_> = (0..BRANCHES).map(|number| events::test_result(&branch(number))).collect();
        let aws = aws_with(&stored).await;
        // As many roots as a function has on AWS, and the endpoint's own.
        let roots = amazon_roots();
        let roots: Vec<_> = roots.iter().map(PathBuf::as_path).collect();
        let endpoint = Endpoint::start(FreshNonces { aws, count: Arc::default() }, &roots).await;
        Self { endpoint }
    }

    /// The variables of a function that calls this.
    pub(crate) fn environment(&self, function: Function) -> Vec<(String, String)> {
        function.environment().into_iter().chain(self.endpoint.environment()).collect()
    }
}

fn amazon_roots() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/aws/roots");
    let files = std::fs::read_dir(folder).expect("the roots that functions trust");
    files.map(|file| file.expect("a file").path()).collect()
}

/// Gives every reservation its own key. One signed post can then be sent again and again, and each takes the calls
/// of a new one.
#[derive(Debug, Clone)]
struct FreshNonces {
    aws: Aws,
    count: Arc<AtomicUsize>,
}

impl HttpConnector for FreshNonces {
    fn call(&self, mut request: HttpRequest) -> HttpConnectorFuture {
        let target = request.headers().get("x-amz-target").unwrap_or_default();
        let count = match target {
            "DynamoDB_20120810.PutItem" => Some(self.count.fetch_add(1, Ordering::Relaxed) + 1),
            "DynamoDB_20120810.UpdateItem" => Some(self.count.load(Ordering::Relaxed)),
            _ => None,
        };
        if let Some(count) = count {
            let body = std::str::from_utf8(request.body().bytes().unwrap_or_default()).unwrap_or_default();
            let body = body.replacen(RESERVATION, &format!("{RESERVATION}{count}/"), 1);
            *request.body_mut() = body.into();
        }
        self.aws.call(request)
    }
}
