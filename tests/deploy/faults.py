"""What must hold while something breaks: nothing accepted is lost, and nothing is there twice."""

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


def every_function_is_killed_while_it_works(stack):
    """Processes of both functions on the way of a result are killed, again and again, while results are sent."""
    branch, kills, done = fresh("killed"), [], threading.Event()

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
        # Each attempt may be killed, so it is not the number of results that makes it enough.
        accepted = stack.client.submit_all(branch, RESULTS)
        time.sleep(3)
    finally:
        done.set()
        killer.join()
    for function in ("ingest-api", "processor"):
        assert kills.count(function) >= 5, f"{function} was killed {kills.count(function)} times only"
    all_are_there_once(stack, branch, accepted)
    return f"{len(kills)} kills, {len(accepted)} accepted, each stored once"


def poison_goes_to_the_dead_letter_queue(stack):
    """What can never be a result goes there at once, with its reason; what was sent with it is stored."""
    branch = fresh("poisoned")
    poison = ["no JSON", "{}", json.dumps({"version": 99}), "[" * 5000]
    for content in poison:
        stack.send("ResultsQueueUrl", content)
    accepted = stack.client.submit_all(branch, 10)
    all_are_there_once(stack, branch, accepted)
    until(lambda: stack.depth("ResultsDeadLetterQueueUrl") == len(poison), "poison is not in the dead-letter queue")
    letters = stack.operate("dlq", "list")["messages"]
    assert len(letters) == len(poison) and "max receives exceeded" not in {letter["reason"] for letter in letters}, letters
    assert stack.operate("dlq", "purge", "--yes")["all"]
    until(lambda: stack.depth("ResultsDeadLetterQueueUrl") == 0, "the queue is not purged")

    # A request for a package that nobody understands gets there by being received too often.
    stack.redeliver_after(seconds=1, queue="RefreshQueueUrl")
    stack.send("RefreshQueueUrl", "no event")
    until(lambda: stack.depth("RefreshDeadLetterQueueUrl") == 1, "a request is not in the dead-letter queue")
    queues = stack.operate("status")["queues"]
    visible = {queue["queue"]: queue["visible"] for queue in queues if queue["dead_letters"]}
    assert visible == {"ResultsDeadLetterQueue": 0, "RefreshDeadLetterQueue": 1, "RefreshEventsDeadLetterQueue": 0}, visible
    return f"{len(poison)} results with reasons, 1 request"


def a_dead_letter_queue_raises_its_alarm(stack):
    """The alarm watches the figure that grows. The emulator publishes none of its own, so it is put there."""
    stack.send("ResultsDeadLetterQueueUrl", "poison")
    alarm = stack.alarm("ResultsDeadLetters")
    queue = stack.outputs["ResultsDeadLetterQueueUrl"].rsplit("/", 1)[1]
    assert alarm["Dimensions"] == [{"Name": "QueueName", "Value": queue}], alarm
    assert (alarm["Namespace"], alarm["MetricName"]) == ("AWS/SQS", "ApproximateNumberOfMessagesVisible"), alarm
    assert alarm["StateValue"] != "ALARM", alarm
    stack.publish(alarm, stack.depth("ResultsDeadLetterQueueUrl"))
    until(lambda: stack.alarm("ResultsDeadLetters")["StateValue"] == "ALARM", "there is no alarm")
    stack.take_all("ResultsDeadLetterQueueUrl")
    return f"more than {alarm['Threshold']:g}, and it is told"


def aws_is_away_for_a_while(stack):
    """Every call of a function fails, in every way that there is, while results are sent and badges are read."""
    branch = fresh("away")
    stack.redeliver_after(seconds=3)
    before, read = stack.failed(), set()
    outages = [
        {"service": "*", "error": {"code": "ServiceUnavailable", "status": 503}},
        {"service": "*", "reset": True},
        # Carried out, and the answer lost.
        {"service": "*", "response": {"abort_frac": 0.0}},
        {"service": "*", "latency": 1000},
        {"service": "*", "probability": 0.3, "error": {"code": "ThrottlingException", "status": 400}},
    ]
    with ThreadPoolExecutor(1) as pool:
        sender = pool.submit(stack.client.submit_all, branch, RESULTS)
        try:
            while not sender.done():
                for outage in outages:
                    stack.let_fail(outage)
                    for _ in range(3):
                        read.add(stack.client.badge(branch))
                        # Nobody has read this one before, so that no memory holds it.
                        read.add(stack.client.badge(fresh("unread")))
                        time.sleep(0.5)
                    stack.let_fail()
                    time.sleep(1)
        finally:
            stack.let_fail()
    accepted = sender.result()
    failed = stack.failed() - before
    assert failed >= 20, f"only {failed} calls have failed"
    assert len(accepted) == RESULTS, f"{len(accepted)} were accepted"
    all_are_there_once(stack, branch, accepted)
    assert read <= {"190 passed", "no results", "unavailable"}, read
    return f"{failed} failed calls, {len(accepted)} accepted, each stored once; badges said {sorted(read)}"


def what_was_given_up_is_stored_by_a_replay(stack):
    """The table refuses for so long that results end in the dead-letter queue; an operator moves them back."""
    branch = fresh("replayed")
    stack.redeliver_after(seconds=1, receives_max=2)
    stack.let_fail({"service": "dynamodb", "operation": "BatchWriteItem", "error": {"code": "InternalServerError", "status": 500}})
    accepted = stack.client.submit_all(branch, 10)
    until(lambda: stack.depth("ResultsDeadLetterQueueUrl") == len(accepted), "results are not in the dead-letter queue")
    assert stack.client.history(branch) == []
    stack.let_fail()
    assert stack.operate("dlq", "replay", "--reason", "max receives exceeded", "--rate", "0")["moved"] == len(accepted)
    all_are_there_once(stack, branch, accepted)
    return f"{len(accepted)} dead letters, each stored once"


def an_upstream_that_is_gone_is_told_by_the_badge(stack):
    """The suite has taken its NuGet feed with it."""
    package = f"gone.{uuid.uuid4()}"
    until(lambda: stack.client.version(package) == "unavailable", "the badge does not say so")
    return "unavailable"


ALL = [
    every_function_is_killed_while_it_works,
    poison_goes_to_the_dead_letter_queue,
    a_dead_letter_queue_raises_its_alarm,
    aws_is_away_for_a_while,
    what_was_given_up_is_stored_by_a_replay,
    an_upstream_that_is_gone_is_told_by_the_badge,
]


def fresh(name):
    return f"{name}/{uuid.uuid4()}"


def all_are_there_once(stack, branch, accepted):
    until(
        lambda: len(stack.client.history(branch)) >= len(accepted),
        lambda: f"{len(stack.client.history(branch))} of {len(accepted)} results are stored",
    )
    stored = stack.client.history(branch)
    assert sorted(stored) == sorted(accepted), f"stored {sorted(stored)}, accepted {sorted(accepted)}"


def until(holds, otherwise):
    deadline = time.monotonic() + STORED_SECONDS_MAX
    while not holds():
        if time.monotonic() > deadline:
            raise AssertionError(otherwise() if callable(otherwise) else otherwise)
        time.sleep(0.25)
