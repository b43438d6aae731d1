//! The network between the functions and AWS: each call takes time, and may be lost, throttled, duplicated, partly
//! executed, or answered with stale data.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use badgesmith_aws::clock::Clock;
use badgesmith_domain::timestamp::Timestamp;
use embedded_aws::{Aws, response};
use fastrand::Rng;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use super::invocation::{Call, Invocation};
use super::trace::Trace;
use crate::faults::{self, Fault, operation};

/// The maximum age of what a stale read returns.
pub(super) const STALE_MAX: Duration = Duration::from_secs(5);

/// The network; clones share its state.
#[derive(Debug, Clone)]
pub(super) struct Network(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    aws: Aws,
    clock: Clock,
    start: Timestamp,
    trace: Trace,
    fault_rate: Mutex<FaultRate>,
    /// Earlier answers to reads, by their request.
    reads: Mutex<HashMap<String, (Instant, String)>>,
}

/// How often calls fail.
#[derive(Debug, Clone, PartialEq)]
pub struct FaultRate {
    /// The fraction of calls that fail.
    pub rate: f64,
    /// The prefix of `x-amz-target` that a failing call has, such as `DynamoDB`. Empty for all services.
    pub service: &'static str,
}

impl FaultRate {
    pub(super) const NONE: Self = Self { rate: 0.0, service: "" };
}

/// A fault of one call.
#[derive(Debug, Clone, Copy)]
enum NetworkFault {
    Fault(Fault),
    /// AWS executes the call twice.
    Duplicated,
    /// An eventually consistent read returns the same as some seconds ago.
    StaleRead,
    /// Only the first entry of a batch of messages succeeds.
    FirstOnly,
}

impl Network {
    pub(super) fn new(aws: &Aws, clock: &Clock, trace: &Trace) -> Self {
        Self(Arc::new(Inner {
            aws: aws.clone(),
            clock: clock.clone(),
            start: clock.now(),
            trace: trace.clone(),
            fault_rate: Mutex::new(FaultRate::NONE),
            reads: Mutex::default(),
        }))
    }

    pub(super) fn set_fault_rate(&self, fault_rate: FaultRate) {
        *self.0.fault_rate.lock().unwrap() = fault_rate;
    }

    /// Sets the clock of AWS and the functions to the virtual time.
    pub(super) fn set_clock(&self) {
        let now = self.0.start.plus(self.0.trace.elapsed());
        self.0.clock.advance(now.since(self.0.clock.now()));
    }

    /// Waits, and sets the clock.
    pub(super) async fn wait(&self, duration: Duration) {
        sleep(duration).await;
        self.set_clock();
    }

    fn fault(&self, call: &mut Call, request: &HttpRequest) -> Option<NetworkFault> {
        let fault_rate = self.0.fault_rate.lock().unwrap().clone();
        if fault_rate == FaultRate::NONE {
            return None;
        }
        let target = request.headers().get("x-amz-target").unwrap_or_default();
        let is_hit = call.random.f64() < fault_rate.rate && target.starts_with(fault_rate.service);
        if fault_rate.rate < 1.0 {
            is_hit.then(|| choose(&mut call.random, operation(request), request))
        } else {
            is_hit.then(|| NetworkFault::Fault(call.invocation.outage))
        }
    }

    async fn answer(
        &self,
        call: &Call,
        mut request: HttpRequest,
        fault: Option<NetworkFault>,
    ) -> Result<HttpResponse, ConnectorError> {
        let Inner { aws, reads, .. } = &*self.0;
        match fault {
            None => {}
            Some(NetworkFault::Fault(fault)) => {
                call.invocation.count_fault();
                return fault.inject(aws, request).await;
            }
            Some(NetworkFault::Duplicated) => {
                let copy = request.try_clone().expect("a body in memory");
                aws.call(copy).await?;
            }
            Some(NetworkFault::StaleRead) => {
                let old = reads.lock().unwrap().get(&read_key(&request)).cloned();
                if let Some((_, answer)) = old.filter(|(at, _)| at.elapsed() <= STALE_MAX) {
                    return Ok(response(200, answer));
                }
            }
            Some(NetworkFault::FirstOnly) => {
                call.invocation.count_fault();
                let mut body = faults::body(&request);
                let entries = body["Entries"].as_array_mut().expect("entries").split_off(1);
                *request.body_mut() = body.to_string().into();
                let answer = aws.call(request).await?;
                let mut answer: Value =
                    serde_json::from_slice(answer.body().bytes().unwrap_or_default()).unwrap_or_default();
                let failed = entries
                    .iter()
                    .map(|entry| json!({ "Id": entry["Id"], "Code": "InternalError", "SenderFault": false }));
                answer["Failed"] = failed.collect();
                return Ok(response(200, answer.to_string()));
            }
        }
        // Without faults, no read is stale.
        let is_kept =
            *self.0.fault_rate.lock().unwrap() != FaultRate::NONE && is_eventually_consistent(&request);
        let read = is_kept.then(|| read_key(&request));
        let answer = aws.call(request).await?;
        if let Some(read) = read
            && let Some(text) = answer.body().bytes().and_then(|bytes| std::str::from_utf8(bytes).ok())
        {
            reads.lock().unwrap().insert(read, (Instant::now(), text.to_owned()));
        }
        Ok(answer)
    }
}

fn choose(random: &mut Rng, operation: &str, request: &HttpRequest) -> NetworkFault {
    // A third of the faults are specific to the operation, if it has one.
    if random.u32(0..3) == 0 {
        match operation {
            "BatchWriteItem" => return NetworkFault::Fault(Fault::LeavesUnprocessed),
            "SendMessage" => return NetworkFault::Duplicated,
            "SendMessageBatch" | "DeleteMessageBatch" => return NetworkFault::FirstOnly,
            _ if is_eventually_consistent(request) => return NetworkFault::StaleRead,
            _ => {}
        }
    }
    NetworkFault::Fault(match random.u32(0..5) {
        0 => Fault::Fails,
        1 => Fault::LosesAnswer,
        2 => Fault::Throttles,
        3 => Fault::TimesOut,
        _ => Fault::AnswerTimesOut,
    })
}

fn is_eventually_consistent(request: &HttpRequest) -> bool {
    matches!(operation(request), "Query" | "GetItem") && faults::body(request)["ConsistentRead"] != true
}

/// The key of a read; equal reads have equal keys.
fn read_key(request: &HttpRequest) -> String {
    format!("{} {}", operation(request), faults::body(request))
}

/// The latency of one direction: usually a few milliseconds, rarely so long that a function stops waiting.
fn latency(call: &mut Call) -> Duration {
    let milliseconds = match call.random.u32(0..100) {
        0..=95 => call.random.u64(1..=6),
        96..=98 => call.random.u64(20..=200),
        _ => {
            call.invocation.count_fault();
            call.random.u64(300..=1500)
        }
    };
    Duration::from_millis(milliseconds)
}

impl HttpConnector for Network {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let mut call = Invocation::next_call();
        let network = self.clone();
        HttpConnectorFuture::new(async move {
            call.kill_if_planned(false).await;
            network.wait(latency(&mut call)).await;
            let fault = network.fault(&mut call, &request);
            let what = operation(&request).to_owned();
            network.0.trace.add(call.invocation.event, format_args!("{what} {fault:?}"));
            let answer = network.answer(&call, request, fault).await;
            call.kill_if_planned(true).await;
            network.wait(latency(&mut call)).await;
            answer
        })
    }
}

impl HttpClient for Network {
    fn http_connector(&self, _: &HttpConnectorSettings, _: &RuntimeComponents) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}
