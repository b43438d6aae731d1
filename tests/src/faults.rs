//! Faults between the SDK and the embedded services.

use std::collections::VecDeque;
use std::future::pending;
use std::io::ErrorKind;
use std::sync::{Arc, Mutex};

use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use embedded_aws::{Aws, response};
use serde_json::{Value, json};
use tokio::sync::Notify;

/// The outcome of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// AWS does nothing and responds with an error.
    Fails,
    /// AWS does nothing and never responds.
    TimesOut,
    /// AWS executes the call, and the connection breaks before the response.
    LosesAnswer,
    /// AWS executes the call and never responds.
    AnswerTimesOut,
    /// DynamoDB throttles the call.
    Throttles,
    /// `BatchWriteItem` writes the first item only, and returns the others as unprocessed.
    LeavesUnprocessed,
    /// AWS executes the call after [`Faults::interrupt`], or never.
    Pauses,
}

impl Fault {
    /// The outcome of a request to AWS with this fault.
    pub(crate) async fn inject(
        self,
        aws: &Aws,
        mut request: HttpRequest,
    ) -> Result<HttpResponse, ConnectorError> {
        match self {
            Self::Fails => Ok(response(500, r#"{"__type":"InternalServerError"}"#)),
            Self::Throttles => Ok(response(400, r#"{"__type":"ProvisionedThroughputExceededException"}"#)),
            Self::TimesOut => pending().await,
            Self::LosesAnswer => {
                aws.call(request).await?;
                let broken = std::io::Error::from(ErrorKind::ConnectionReset);
                Err(ConnectorError::io(broken.into()))
            }
            Self::AnswerTimesOut => {
                aws.call(request).await?;
                pending().await
            }
            Self::LeavesUnprocessed => {
                let (first, rest) = split(&body(&request));
                *request.body_mut() = first.to_string().into();
                aws.call(request).await?;
                Ok(response(200, json!({ "UnprocessedItems": rest }).to_string()))
            }
            Self::Pauses => aws.call(request).await,
        }
    }

    /// The call is lost before or after its execution, once or until [`Faults::heal`].
    pub const LOST_CALLS: [(Self, usize); 4] = [
        (Self::Fails, 1),
        (Self::Fails, usize::MAX),
        (Self::LosesAnswer, 1),
        (Self::LosesAnswer, usize::MAX),
    ];
}

#[derive(Debug, Clone)]
pub struct Call {
    /// `SendMessage`, for example.
    pub operation: String,
    pub body: Value,
}

/// An HTTP client that passes calls to AWS, records them, and injects the planned faults.
#[derive(Debug, Clone)]
pub struct Faults {
    aws: Aws,
    state: Arc<Mutex<State>>,
    paused: Arc<Notify>,
    resumed: Arc<Notify>,
}

#[derive(Debug, Default)]
struct State {
    calls: Vec<Call>,
    /// In the order in which they occur.
    planned: VecDeque<Planned>,
}

#[derive(Debug)]
struct Planned {
    operation: String,
    /// Only calls whose body has this text.
    text: String,
    fault: Fault,
    /// How often the fault still occurs.
    left: usize,
}

impl Faults {
    pub fn new(aws: Aws) -> Self {
        Self { aws, state: Arc::default(), paused: Arc::default(), resumed: Arc::default() }
    }

    /// Injects `fault` into the next `times` calls of `operation`, in place of all planned faults.
    pub fn plan(&self, operation: &str, fault: Fault, times: usize) {
        self.plan_for(operation, "", fault, times);
    }

    /// The same, only for calls whose body has this text.
    pub fn plan_for(&self, operation: &str, text: &str, fault: Fault, times: usize) {
        self.heal();
        self.push(operation, text, fault, times);
    }

    /// Injects `fault` into `times` calls of `operation` after the faults that are planned already.
    pub fn then_plan(&self, operation: &str, fault: Fault, times: usize) {
        self.push(operation, "", fault, times);
    }

    fn push(&self, operation: &str, text: &str, fault: Fault, left: usize) {
        let planned = Planned { operation: operation.to_owned(), text: text.to_owned(), fault, left };
        self.state.lock().unwrap().planned.push_back(planned);
    }

    /// Waits until a call pauses ([`Fault::Pauses`]), runs `change`, and lets the call go on.
    pub async fn interrupt(&self, change: impl Future<Output = ()>) {
        self.paused.notified().await;
        change.await;
        self.resumed.notify_one();
    }

    /// Removes all planned faults.
    pub fn heal(&self) {
        self.state.lock().unwrap().planned.clear();
    }

    /// Takes the calls so far.
    pub fn take_calls(&self) -> Vec<Call> {
        std::mem::take(&mut self.state.lock().unwrap().calls)
    }

    /// Takes the calls so far, and counts those of `operation`.
    pub fn take_count(&self, operation: &str) -> usize {
        self.take_calls().iter().filter(|call| call.operation == operation).count()
    }

    fn fault_for(&self, operation: &str, body: Value) -> Option<Fault> {
        let mut state = self.state.lock().unwrap();
        let applies = |planned: &&mut Planned| {
            planned.operation == operation
                && planned.left > 0
                && (planned.text.is_empty() || body.to_string().contains(&planned.text))
        };
        let planned = state.planned.iter_mut().find(applies);
        let fault = planned.map(|planned| {
            planned.left -= 1;
            planned.fault
        });
        state.calls.push(Call { operation: operation.to_owned(), body });
        fault
    }
}

impl HttpConnector for Faults {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let fault = self.fault_for(operation(&request), body(&request));
        let Self { aws, paused, resumed, .. } = self.clone();
        HttpConnectorFuture::new(async move {
            match fault {
                None => aws.call(request).await,
                Some(Fault::Pauses) => {
                    paused.notify_one();
                    resumed.notified().await;
                    aws.call(request).await
                }
                Some(fault) => fault.inject(&aws, request).await,
            }
        })
    }
}

/// The operation of a request, such as `SendMessage`.
pub(crate) fn operation(request: &HttpRequest) -> &str {
    let target = request.headers().get("x-amz-target").unwrap_or_default();
    target.rsplit('.').next().unwrap_or_default()
}

/// The JSON body of a request, or null.
pub(crate) fn body(request: &HttpRequest) -> Value {
    serde_json::from_slice(request.body().bytes().unwrap_or_default()).unwrap_or_default()
}

/// A batch with its first write only, and the other writes.
fn split(batch: &Value) -> (Value, Value) {
    let (mut first, mut rest) = (batch.clone(), batch["RequestItems"].clone());
    for writes in first["RequestItems"].as_object_mut().into_iter().flatten() {
        writes.1.as_array_mut().unwrap().truncate(1);
    }
    for writes in rest.as_object_mut().into_iter().flatten() {
        writes.1.as_array_mut().unwrap().remove(0);
    }
    rest.as_object_mut().unwrap().retain(|_, writes| writes != &json!([]));
    (first, rest)
}

impl HttpClient for Faults {
    fn http_connector(&self, _: &HttpConnectorSettings, _: &RuntimeComponents) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}
