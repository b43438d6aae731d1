//! Logs of a function: one JSON object a line, for CloudWatch Logs.

/// Starts logging to stdout at `info` and above, with the fields of the enclosing spans, among them the
/// request id that the Lambda runtime puts around each invocation.
pub fn start() {
    tracing_subscriber::fmt()
        .json()
        .flatten_event(true)
        .with_current_span(true)
        .with_span_list(false)
        .with_max_level(tracing::Level::INFO)
        .init();
}
