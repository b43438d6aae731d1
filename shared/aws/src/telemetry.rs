//! Writes logs and metrics to stdout, for CloudWatch: logs as one JSON object per line, metrics in the embedded
//! metric format.

use std::fmt;
use std::io::{self, Write};

use badgesmith_domain::timestamp::Timestamp;
use serde_json::{Value, json};
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Metadata, Subscriber};
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;

use crate::clock::Clock;
use crate::env;
use crate::metrics::{DIMENSION, NAMESPACE, TARGET};

/// Where the SDK writes an error for each call that failed before it had a connection. The call's own error is logged.
const LOST_CONNECTION: &str = "aws_smithy_runtime::client::http::connection_poisoning";

/// Starts logging to stdout at `info` and above, with the fields of the enclosing spans, which include the request
/// id from the Lambda runtime. If `STACK_NAME` is set, metrics are written, too.
pub fn start() {
    subscriber(env::optional(env::STACK_NAME), Clock::System, io::stdout).init();
}

fn subscriber<W>(stack: Option<String>, clock: Clock, writer: W) -> impl Subscriber + Send + Sync
where
    W: for<'a> MakeWriter<'a> + Clone + Send + Sync + 'static,
{
    let log = tracing_subscriber::fmt::layer()
        .json()
        .flatten_event(true)
        .with_current_span(true)
        .with_span_list(false)
        .with_writer(writer.clone())
        .with_filter(filter_fn(|metadata| {
            !is_metric(metadata) && metadata.target() != LOST_CONNECTION && *metadata.level() <= Level::INFO
        }));
    let metrics = stack.map(|stack| Metrics { stack, clock, writer }.with_filter(filter_fn(is_metric)));
    tracing_subscriber::registry().with(log).with(metrics)
}

fn is_metric(metadata: &Metadata<'_>) -> bool {
    metadata.target() == TARGET
}

/// Writes each metric as a line that CloudWatch Logs turns into a data point.
struct Metrics<W> {
    stack: String,
    clock: Clock,
    writer: W,
}

impl<S: Subscriber, W: for<'a> MakeWriter<'a> + 'static> Layer<S> for Metrics<W> {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut metric = Recorded::default();
        event.record(&mut metric);
        let line = format!("{}\n", metric.embedded(&self.stack, self.clock.now()));
        // There is no other place to report an error of stdout.
        let _ = self.writer.make_writer().write_all(line.as_bytes());
    }
}

/// The fields of an event from [`crate::metrics::Metric::record`].
#[derive(Debug, Default)]
struct Recorded {
    name: String,
    unit: String,
    value: u64,
}

impl Visit for Recorded {
    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            "name" => value.clone_into(&mut self.name),
            "unit" => value.clone_into(&mut self.unit),
            _ => {}
        }
    }

    fn record_u64(&mut self, _: &Field, value: u64) {
        self.value = value;
    }

    fn record_debug(&mut self, _: &Field, _: &dyn fmt::Debug) {}
}

impl Recorded {
    /// The embedded metric format:
    /// <https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html>
    fn embedded(&self, stack: &str, now: Timestamp) -> Value {
        let Self { name, unit, value } = self;
        json!({
            "_aws": {
                "Timestamp": now.unix_milliseconds(),
                "CloudWatchMetrics": [{
                    "Namespace": NAMESPACE,
                    "Dimensions": [[DIMENSION]],
                    "Metrics": [{ "Name": name, "Unit": unit }],
                }],
            },
            DIMENSION: stack,
            name: value,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use lambda_runtime::Context;
    use lambda_runtime::layers::trace::request_span;

    use super::*;
    use crate::metrics::Metric;

    #[test]
    fn log_lines_and_metrics_are_written_as_json() {
        let (reader, writer) = io::pipe().unwrap();
        let clock = Clock::manual("2026-01-15T10:30:00Z".parse().unwrap());
        let subscriber = subscriber(Some("prod".to_owned()), clock, Arc::new(writer));
        tracing::subscriber::with_default(subscriber, || {
            let mut invocation = Context::default();
            invocation.request_id = "8476a536-e9f4-11e8-9739-2dfe598c3fcd".to_owned();
            request_span(&invocation).in_scope(|| {
                tracing::warn!(repository = "acme/kit", "rejected a submission");
                tracing::debug!("not written");
                tracing::error!(target: LOST_CONNECTION, "not written");
                Metric::RefreshLag.record(17);
                Metric::ResultsStored.count(0);
            });
        });
        let lines = io::read_to_string(reader).unwrap();
        let (time, rest) = lines.split_once("Z\"").unwrap();
        assert!(time.starts_with("{\"timestamp\":\"20"), "{lines}");
        insta::assert_snapshot!(format!("{{\"timestamp\":\"[time]\"{rest}"), @r#"
        {"timestamp":"[time]","level":"WARN","message":"rejected a submission","repository":"acme/kit","target":"badgesmith_aws::telemetry::tests","span":{"requestId":"8476a536-e9f4-11e8-9739-2dfe598c3fcd","name":"Lambda runtime invoke"}}
        {"RefreshLag":17,"Stack":"prod","_aws":{"CloudWatchMetrics":[{"Dimensions":[["Stack"]],"Metrics":[{"Name":"RefreshLag","Unit":"Seconds"}],"Namespace":"BadgeSmith"}],"Timestamp":1768473000000}}
        "#);
    }
}
