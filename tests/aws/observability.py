"""Logs, traces, metrics and alarms: what AWS records about the functions."""

import json
import statistics
import time
from datetime import datetime, timedelta, timezone

from report import Skipped
from target import FUNCTIONS

# Functions whose logs have report lines. badge-api has none, so its traces are used.
WITH_REPORTS = ("ingest-api", "processor", "refresher")
COLD_START_HOURS = 24
# X-Ray lists traces of at most six hours.
TRACE_HOURS = 6
INIT_MS_MAX = 200
TRACE_SECONDS_MAX = 120
# New metrics are listed after up to 15 minutes.
METRICS_MINUTES = 30
METRICS = {"ResultsAccepted", "ResultsRefused", "ResultsStored", "StorageDelay", "RefreshLag"}
TRACES_A_REQUEST = 5
TRACES_MAX = 100


def cold_starts_are_short(target):
    """The median of the init phases since a function was updated is at most 200 ms, by its report lines or its traces."""
    target.needs_aws("reports no init phases")
    inits = {}
    for id, name in FUNCTIONS.items():
        # Cold starts of earlier versions do not count.
        updated = datetime.strptime(target.function(id)["LastModified"], "%Y-%m-%dT%H:%M:%S.%f%z").timestamp()
        since = max(updated, time.time() - COLD_START_HOURS * 3600)
        inits[name] = (reported_inits if name in WITH_REPORTS else traced_inits)(target, name, since)
    if not any(inits.values()):
        raise Skipped("no function has started recently since its last update")
    medians = {name: statistics.median(times) for name, times in inits.items() if times}
    text = ", ".join(
        f"{name}: {medians[name]:.0f} ms, median of {len(times)}" if times else f"{name}: none" for name, times in inits.items()
    )
    assert all(median <= INIT_MS_MAX for median in medians.values()), text
    return text


def reported_inits(target, function, since):
    """The durations in milliseconds of the init phases in the report lines of a function, since a Unix time in seconds."""
    events = log_events(target, function, int(since * 1000), "{ $.record.metrics.initDurationMs > 0 }")
    return [json.loads(event["message"])["record"]["metrics"]["initDurationMs"] for event in events]


def traced_inits(target, function, since):
    """The durations in milliseconds of the init phases in the traces of a function, since a Unix time in seconds."""
    parts = [part for segment in segments(target, function, TRACE_HOURS * 3600) for part in segment.get("subsegments", [])]
    return [
        (part["end_time"] - part["start_time"]) * 1000 for part in parts
        if part["name"] in ("Initialization", "Init") and "end_time" in part and part["start_time"] >= since
    ]


def traces_connect_a_post_with_its_storage(target):
    """A trace of ingest-api has a segment of processor, or a trace of processor links to it."""
    target.needs_aws("has no X-Ray")
    if target.parameters["Tracing"] != "Active":
        raise Skipped("the parameter Tracing is not Active")
    target.client.submit(target.client.body("traced", 1))
    deadline = time.monotonic() + TRACE_SECONDS_MAX
    while time.monotonic() < deadline:
        posts = {segment["trace_id"] for segment in segments(target, "ingest-api", 900)}
        for segment in segments(target, "processor", 900):
            linked = {link.get("trace_id") for link in segment.get("links", [])}
            if common := posts & (linked | {segment["trace_id"]}):
                return f"trace {common.pop()}"
        time.sleep(5)
    raise AssertionError(f"no common trace within {TRACE_SECONDS_MAX} s, of {len(posts)} traces of posts")


def functions_record_their_metrics(target):
    """CloudWatch lists the metrics of results and of the schedule, as recorded in the last three hours."""
    target.needs_aws("publishes no metrics; tests/deploy reads them in the logs")
    pages = target.aws("cloudwatch").get_paginator("list_metrics").paginate(
        Namespace="BadgeSmith", Dimensions=[{"Name": "Stack", "Value": target.name}], RecentlyActive="PT3H"
    )
    missing = METRICS - {metric["MetricName"] for page in pages for metric in page["Metrics"]}
    age = datetime.now(timezone.utc) - target.created
    if missing and age < timedelta(minutes=METRICS_MINUTES):
        raise Skipped(f"not listed yet: {', '.join(sorted(missing))}; run this again half an hour after the deployment")
    assert not missing, f"not listed: {', '.join(sorted(missing))}; after hours without results, run this again in 15 minutes"
    return ", ".join(sorted(METRICS))


def the_alarm_topic_has_a_confirmed_subscription(target):
    """The topic of the alarms has a confirmed subscription."""
    pages = target.aws("sns").get_paginator("list_subscriptions_by_topic").paginate(TopicArn=target.outputs["AlarmTopicArn"])
    subscriptions = [subscription for page in pages for subscription in page["Subscriptions"]]
    if not subscriptions:
        raise Skipped("the topic has no subscription; AlarmEmail is empty")
    pending = [item["Endpoint"] for item in subscriptions if not item["SubscriptionArn"].startswith("arn:")]
    assert not pending, f"not confirmed: {', '.join(pending)}"
    return f"{len(subscriptions)} confirmed"


def no_function_was_denied_access(target):
    """No function has logged AccessDenied since this run began."""
    target.needs_aws("enforces no policies of roles")
    denied, since = [], int(target.started * 1000)
    for name in FUNCTIONS.values():
        denied += [f"{name}: {event['message'][:200]}" for event in log_events(target, name, since, "%AccessDenied%")]
    assert not denied, f"{len(denied)} log lines, such as {denied[0]}"
    return "no log line"


def log_events(target, function, since, pattern):
    """The log lines of a function that match a pattern, since a time in Unix milliseconds."""
    pages = target.aws("logs").get_paginator("filter_log_events").paginate(
        logGroupName=f"/aws/lambda/{target.name}-{function}", startTime=since, filterPattern=pattern
    )
    return (event for page in pages for event in page["events"])


def segments(target, function, seconds):
    """The segments of a function in its latest traces, at most TRACES_MAX, of the last `seconds`."""
    xray, now, name = target.aws("xray"), time.time(), f"{target.name}-{function}"
    pages = xray.get_paginator("get_trace_summaries").paginate(
        StartTime=now - seconds, EndTime=now, FilterExpression=f'service("{name}")'
    )
    ids = [summary["Id"] for page in pages for summary in page["TraceSummaries"]][-TRACES_MAX:]
    for first in range(0, len(ids), TRACES_A_REQUEST):
        for trace in xray.batch_get_traces(TraceIds=ids[first:first + TRACES_A_REQUEST])["Traces"]:
            documents = [json.loads(segment["Document"]) for segment in trace["Segments"]]
            yield from (document for document in documents if document["name"] == name)


CHECKS = [
    cold_starts_are_short, traces_connect_a_post_with_its_storage, functions_record_their_metrics,
    the_alarm_topic_has_a_confirmed_subscription, no_function_was_denied_access,
]
