//! Writes logs and metrics to stdout, for CloudWatch: logs as one JSON object per line, metrics in the embedded
//! metric format.

use std::fmt;
use std::io::Write;

use badgesmith_domain::timestamp::Timestamp;
use serde_json::{Value, json};
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Metadata, Subscriber};
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;

use crate::clock::Clock;
use crate::env;
use crate::metrics::{DIMENSION, NAMESPACE, TARGET};

/// Starts logging to stdout at `info` and above, with the fields of the enclosing spans, which include the request
/// id from the Lambda runtime. If `STACK_NAME` is set, metrics are written, too.
pub fn start() {
    let log = tracing_subscriber::fmt::layer()
        .json()
        .flatten_event(true)
        .with_current_span(true)
        .with_span_list(false)
        .with_filter(filter_fn(|metadata| !is_metric(metadata) && *metadata.level() <= Level::INFO));
    let metrics = env::optional(env::STACK_NAME)
        .map(|stack| Metrics { stack, clock: Clock::System }.with_filter(filter_fn(is_metric)));
    tracing_subscriber::registry().with(log).with(metrics).init();
}

fn is_metric(metadata: &Metadata<'_>) -> bool {
    metadata.target() == TARGET
}

/// Writes each metric as a line that CloudWatch Logs turns into a data point.
struct Metrics {
    stack: String,
    clock: Clock,
}

impl<S: Subscriber> Layer<S> for Metrics {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut metric = Recorded::default();
        event.record(&mut metric);
        let line = format!("{}\n", metric.embedded(&self.stack, self.clock.now()));
        // There is no other place to report an error of stdout.
        let _ = std::io::stdout().lock().write_all(line.as_bytes());
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
    use std::sync::{Arc, Mutex};

    use super::*;
    use crate::metrics::Metric;

    /// Collects the lines that would be written.
    #[derive(Clone, Default)]
    struct Kept(Arc<Mutex<Vec<Value>>>);

    impl<S: Subscriber> Layer<S> for Kept {
        fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
            let mut metric = Recorded::default();
            event.record(&mut metric);
            let now = "2026-01-15T10:30:00Z".parse().unwrap();
            self.0.lock().unwrap().push(metric.embedded("prod", now));
        }
    }

    #[test]
    fn a_metric_is_written_in_embedded_metric_format() {
        let kept = Kept::default();
        let subscriber = tracing_subscriber::registry().with(kept.clone().with_filter(filter_fn(is_metric)));
        tracing::subscriber::with_default(subscriber, || {
            tracing::info!("a log line");
            Metric::RefreshLag.record(17);
            Metric::ResultsStored.count(0);
        });
        let kept = kept.0.lock().unwrap();
        assert_eq!(
            *kept,
            [json!({
                "_aws": {
                    "Timestamp": 1_768_473_000_000_i64,
                    "CloudWatchMetrics": [{
                        "Namespace": "BadgeSmith",
                        "Dimensions": [["Stack"]],
                        "Metrics": [{ "Name": "RefreshLag", "Unit": "Seconds" }],
                    }],
                },
                "Stack": "prod",
                "RefreshLag": 17,
            })]
        );
    }
}
