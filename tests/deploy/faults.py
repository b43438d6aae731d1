"""Faults. After each of them, every accepted result is stored exactly once."""

import json
import os
import random
import signal
import threading
import time
import uuid
from concurrent.futures import ThreadPoolExecutor

RESULTS = 60
STORED_SECONDS_MAX = 120
# How long badge-api serves results from memory without reading them again.
MEMORY_SECONDS = 30


def killed_functions_lose_no_result(stack):
    """Kills processes of ingest-api and processor repeatedly while a client sends results."""
    branch, kills, done = unique("killed"), [], threading.Event()

    def kill():
        while not done.wait(random.uniform(0.05, 0.2)):
            for function in ("ingest-api", "processor"):
                for process in stack.processes_of(function):
                    try:
                        os.kill(process, signal.SIGKILL)
                        kills.append(function)
                    except ProcessLookupError:
                        pass

    stack.redeliver_after(seconds=3)
    killer = threading.Thread(target=kill)
    killer.start()
    try:
        # Keep killing for three seconds, because the client may finish after only a few kills.
        accepted = stack.client.submit_all(branch, RESULTS)
        time.sleep(3)
    finally:
        done.set()
        killer.join()
    for function in ("ingest-api", "processor"):
        assert kills.count(function) >= 5, f"{function} was killed only {kills.count(function)} times"
    assert_stored_once(stack, branch, accepted)
    return f"{len(kills)} kills, {len(accepted)} accepted, each stored once"


def malformed_messages_go_to_the_dead_letter_queue(stack):
    """A malformed result goes there after one receive, with the reason. The other results are stored."""
    branch = unique("malformed")
    malformed = ["no JSON", "{}", json.dumps({"version": 99}), "[" * 5000]
    for content in malformed:
        stack.send("ResultsQueueUrl", content)
    accepted = stack.client.submit_all(branch, 10)
    assert_stored_once(stack, branch, accepted)
    until(
        lambda: stack.depth("ResultsDeadLetterQueueUrl") == len(malformed),
        "the malformed messages are not in the dead-letter queue",
    )
    dead_letters = stack.operate("dlq", "list")["messages"]
    assert len(dead_letters) == len(malformed), dead_letters
    assert "max receives exceeded" not in {dead_letter["reason"] for dead_letter in dead_letters}, dead_letters
    assert stack.operate("dlq", "purge", "--yes")["all"]
    until(lambda: stack.depth("ResultsDeadLetterQueueUrl") == 0, "the dead-letter queue is not empty after the purge")

    # A malformed refresh request goes there when it exceeds its maximum number of receives.
    stack.redeliver_after(seconds=1, queue="RefreshQueueUrl")
    stack.send("RefreshQueueUrl", "no event")
    until(lambda: stack.depth("RefreshDeadLetterQueueUrl") == 1, "the request is not in the dead-letter queue")
    queues = stack.operate("status")["queues"]
    visible = {queue["queue"]: queue["visible"] for queue in queues if queue["dead_letters"]}
    assert visible == {"badge-results-dlq": 0, "badge-refresh-dlq": 1, "badge-refresh-events-dlq": 0}, visible
    return f"{len(malformed)} results with reasons, 1 request"


def a_dead_letter_queue_raises_its_alarm(stack):
    """The alarm watches the depth of the queue. The emulator publishes no metrics, so the test publishes the depth."""
    stack.send("ResultsDeadLetterQueueUrl", "malformed")
    alarm = stack.alarm("ResultsDeadLetters")
    queue = stack.outputs["ResultsDeadLetterQueueUrl"].rsplit("/", 1)[1]
    assert alarm["Dimensions"] == [{"Name": "QueueName", "Value": queue}], alarm
    assert (alarm["Namespace"], alarm["MetricName"]) == ("AWS/SQS", "ApproximateNumberOfMessagesVisible"), alarm
    assert alarm["StateValue"] != "ALARM", alarm
    stack.publish(alarm, stack.depth("ResultsDeadLetterQueueUrl"))
    until(lambda: stack.alarm("ResultsDeadLetters")["StateValue"] == "ALARM", "the alarm is not raised")
    stack.delete_messages("ResultsDeadLetterQueueUrl")
    return f"raised above {alarm['Threshold']:g} messages"


def an_outage_of_aws_loses_no_result(stack):
    """Calls to AWS fail in several ways while a client sends results and reads badges."""
    branch = unique("outage")
    stack.redeliver_after(seconds=3)
    failed_before, messages = stack.failed_calls(), set()
    outages = [
        {"service": "*", "error": {"code": "ServiceUnavailable", "status": 503}},
        {"service": "*", "reset": True},
        # AWS makes the change, but the response is lost.
        {"service": "*", "response": {"abort_frac": 0.0}},
        {"service": "*", "latency": 1000},
        {"service": "*", "probability": 0.3, "error": {"code": "ThrottlingException", "status": 400}},
    ]
    with ThreadPoolExecutor(1) as pool:
        sender = pool.submit(stack.client.submit_all, branch, RESULTS)
        try:
            while not sender.done():
                for outage in outages:
                    stack.set_faults(outage)
                    for _ in range(3):
                        messages.add(stack.client.badge(branch))
                        # The badge of a new branch is in no cache.
                        messages.add(stack.client.badge(unique("unread")))
                        time.sleep(0.5)
                    stack.set_faults()
                    time.sleep(1)
        finally:
            stack.set_faults()
    accepted = sender.result()
    failed = stack.failed_calls() - failed_before
    assert failed >= 20, f"only {failed} calls failed"
    assert len(accepted) == RESULTS, f"only {len(accepted)} results were accepted"
    assert_stored_once(stack, branch, accepted)
    assert messages <= {"190 passed", "no results", "unavailable"}, messages
    return f"{failed} failed calls, {len(accepted)} accepted, each stored once; badges: {sorted(messages)}"


def a_badge_survives_an_outage_of_its_table(stack):
    """badge-api serves the badge from memory. Without one in memory, it answers 503, and CloudFront serves its cached
    copy. The emulator's CDN does not cache."""
    branch = unique("kept")
    stack.client.submit_all(branch, 1)
    # The next request starts the only process, which then has the badge in memory.
    for process in stack.processes_of("badge-api"):
        os.kill(process, signal.SIGKILL)
    until(lambda: stack.client.badge(branch) == "190 passed", "the badge does not show the result")
    stack.set_faults({"service": "dynamodb", "operation": "Query", "error": {"code": "InternalServerError", "status": 500}})
    try:
        time.sleep(MEMORY_SECONDS + 1)
        in_memory = stack.client.badge_and_status(branch)
        assert in_memory == ("190 passed", 200), in_memory
        without = stack.client.badge_and_status(unique("unread"))
        assert without == ("unavailable", 503), without
    finally:
        stack.set_faults()
    return f"{in_memory[0]} after {MEMORY_SECONDS} s, otherwise {without[1]}"


def a_replay_stores_results_from_the_dead_letter_queue(stack):
    """Writes fail until the results are in the dead-letter queue. Then an operator replays them."""
    branch = unique("replayed")
    stack.redeliver_after(seconds=1, receives_max=2)
    error = {"code": "InternalServerError", "status": 500}
    stack.set_faults({"service": "dynamodb", "operation": "BatchWriteItem", "error": error})
    accepted = stack.client.submit_all(branch, 10)
    until(lambda: stack.depth("ResultsDeadLetterQueueUrl") == len(accepted), "results are not in the dead-letter queue")
    assert stack.client.history(branch) == []
    stack.set_faults()
    assert stack.operate("dlq", "replay", "--reason", "max receives exceeded", "--rate", "0")["moved"] == len(accepted)
    assert_stored_once(stack, branch, accepted)
    return f"{len(accepted)} dead letters, each stored once"


def the_badge_shows_that_the_upstream_is_unavailable(stack):
    """The NuGet feed stopped with the black-box tests."""
    package = f"unavailable.{uuid.uuid4()}"
    until(lambda: stack.client.version(package) == "unavailable", "the badge does not show \"unavailable\"")
    return "unavailable"


ALL = [
    killed_functions_lose_no_result,
    malformed_messages_go_to_the_dead_letter_queue,
    a_dead_letter_queue_raises_its_alarm,
    an_outage_of_aws_loses_no_result,
    a_badge_survives_an_outage_of_its_table,
    a_replay_stores_results_from_the_dead_letter_queue,
    the_badge_shows_that_the_upstream_is_unavailable,
]


def unique(name):
    return f"{name}/{uuid.uuid4()}"


def assert_stored_once(stack, branch, accepted):
    until(
        lambda: len(stack.client.history(branch)) >= len(accepted),
        lambda: f"{len(stack.client.history(branch))} of {len(accepted)} results are stored",
    )
    stored = stack.client.history(branch)
    assert sorted(stored) == sorted(accepted), f"stored {sorted(stored)}, accepted {sorted(accepted)}"


def until(condition, message, seconds=STORED_SECONDS_MAX):
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(message() if callable(message) else message)
        time.sleep(0.25)
