"""The stack that is checked, and a temporary repository for the results of the checks."""

import http.client
import os
import sys
import time
import urllib.parse
import uuid
from functools import cache, cached_property
from pathlib import Path
from typing import NamedTuple

import boto3
from botocore.config import Config
from client import Client
from deployment import Deployment
from report import Skipped
from tools import ProgramFailed, run

ROOT = Path(__file__).resolve().parents[2]
FUNCTIONS = {"IngestApi": "ingest-api", "Processor": "processor", "Refresher": "refresher", "BadgeApi": "badge-api"}
# A badge shows a result after two minutes at most, including all caches.
SHOWN_SECONDS_MAX = 120
# The black-box suite sends hundreds of results.
POSTS_PER_MINUTE = 10000
NOT_FOUND = 3
# Between removing a repository and erasing its results, docs/operations.md waits five minutes. The message counts of SQS
# are up to a minute old.
STORED_SECONDS_MAX, EMPTY_SECONDS, QUEUE_READ_SECONDS = 300, 60, 2
QUEUE_COUNTS = [f"ApproximateNumberOfMessages{kind}" for kind in ("", "NotVisible", "Delayed")]
# IAM simulates a few calls a second.
RETRIES = Config(retries={"mode": "standard", "max_attempts": 10})


class Response(NamedTuple):
    status: int
    headers: dict
    text: str

    @property
    def cache(self):
        """The header X-Cache of the CDN, such as `Hit from cloudfront`."""
        return self.headers.get("x-cache", "nothing")


class Target(Deployment):
    """A stack on AWS, or on the emulator at `AWS_ENDPOINT_URL`."""

    def __init__(self, options):
        self.options, self.started = options, time.time()
        self.emulator = os.environ.get("AWS_ENDPOINT_URL", "").rstrip("/")
        super().__init__(options.stack, cache(lambda service: boto3.client(service, config=RETRIES)), {})
        self.url = (options.url or self.outputs["CdnUrl"]).rstrip("/")
        _, self.partition, _, self.region, self.account, _ = self.id.split(":", 5)
        # A new name each time, because functions remember a registration for five minutes.
        self.repository = f"badgesmith-verification/{uuid.uuid4().hex[:8]}"
        self.registered, self.captured = False, {}

    def needs_aws(self, reason):
        """Skips a check on an emulator, for this reason."""
        if self.emulator:
            raise Skipped(f"the emulator {reason}")

    @cached_property
    def api_url(self):
        """The URL of the HTTP API, without the CDN."""
        on_emulator = f"{self.emulator}/_aws/execute-api/{self.resources['HttpApi']}/$default"
        return on_emulator if self.emulator else self.outputs["ApiUrl"]

    @cached_property
    def function_url(self):
        """The function URL of badge-api, without the CDN."""
        url = self.aws("lambda").get_function_url_config(FunctionName=self.resources["BadgeApi"])["FunctionUrl"].rstrip("/")
        label = url.removeprefix("https://").split(".")[0]
        return f"{self.emulator}/_aws/lambda-url/{label}" if self.emulator else url

    def function(self, logical_id):
        return self.aws("lambda").get_function_configuration(FunctionName=self.resources[logical_id])

    @cached_property
    def client(self):
        """A client with the key of the temporary repository. The first access registers the repository."""
        build()
        # Set before the command, because an interrupted or failed one may have registered the repository.
        self.registered = True
        key = self.operate("repo", "add", self.repository, "--posts-per-minute", str(POSTS_PER_MINUTE))["key"]
        return Client(self.url, key, self.repository)

    def remove(self):
        """Removes the repository, waits until its results are stored, and erases them. A failed step does not stop the next."""
        errors = []
        for step in (self.unregister, self.wait_until_stored, self.erase):
            try:
                step()
            except (Exception, SystemExit) as error:
                errors.append(str(error))
        assert not errors, f"failed to remove {self.repository}: " + "\n".join(errors)

    def unregister(self):
        try:
            self.operate("repo", "remove", self.repository, "--yes")
        except ProgramFailed as error:
            if error.status != NOT_FOUND:
                raise

    def wait_until_stored(self):
        """Waits until the results queue is empty. Stops after five minutes, because other clients may send results too."""
        deadline, reads = time.monotonic() + STORED_SECONDS_MAX, 0
        # The counts of the emulator are exact.
        reads_min = 1 if self.emulator else EMPTY_SECONDS // QUEUE_READ_SECONDS
        while reads < reads_min and time.monotonic() < deadline:
            time.sleep(QUEUE_READ_SECONDS)
            url = self.outputs["ResultsQueueUrl"]
            counts = self.aws("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=QUEUE_COUNTS)["Attributes"]
            reads = 0 if any(int(counts[name]) for name in QUEUE_COUNTS) else reads + 1

    def erase(self):
        self.operate("repo", "erase", self.repository, "--yes")

    def read(self, path, method="GET", url=None, headers=None, body=None):
        """Sends a request to the CDN, or to another URL, and does not follow redirects."""
        place = urllib.parse.urlsplit(url or self.url)
        kinds = {"http": http.client.HTTPConnection, "https": http.client.HTTPSConnection}
        connection = kinds[place.scheme](place.netloc, timeout=35)
        try:
            connection.request(method, place.path + path, body, headers or {})
            response = connection.getresponse()
            names = {name.lower(): value for name, value in response.getheaders()}
            return Response(response.status, names, response.read().decode(errors="replace"))
        finally:
            connection.close()

    def until_shown(self, branch):
        """Submits a result, and waits until its badge shows it. Returns the seconds."""
        self.client.submit(self.client.body(branch, 1))
        started = time.monotonic()
        return self.until(lambda: self.client.badge(branch) == "190 passed", "the badge does not show the result") - started

    @staticmethod
    def until(condition, message, seconds=SHOWN_SECONDS_MAX):
        """Waits until a condition is true, and returns the monotonic time."""
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, f"{message} within {seconds} s"
            time.sleep(0.5)
        return time.monotonic()


def build():
    """Builds `badgesmith` and the black-box suite."""
    progress("building badgesmith and the black-box suite")
    # Building the tests also builds the programs. `--package` would rebuild dependencies with fewer features.
    run("cargo", "test", "--no-run", "--test", "operate", "--test", "blackbox", cwd=ROOT, quiet=True)


def unique(name):
    return f"{name}-{uuid.uuid4()}"


def progress(text):
    print(text, file=sys.stderr, flush=True)
