"""A deployed stack: what its outputs name, and what an operator does with it."""

import json
from datetime import datetime, timezone
from pathlib import Path

from client import OWNER, REPO, Client
from emulator import REGION
from tools import run

PROGRAM = Path(__file__).resolve().parents[2] / "target/debug/badgesmith"

GITHUB_TOKEN = "ghp_emulated"
# What functions record, and so what the alarms and the dashboard have to show. A stack that is well never records
# ResultsRetried and BadgesUnavailable; the faults make it.
METRICS = {
    "ResultsAccepted", "ResultsRefused", "AuthenticationFailures", "ResultsStored", "ResultsRetried", "StorageDelay",
    "BadgesUnavailable", "PackagesRefreshed", "PackagesFailed", "RefreshLag",
}


class Stack:
    """The stack of one name."""

    def __init__(self, emulator, name):
        self.emulator, self.name = emulator, name
        cloudformation = emulator.client("cloudformation")
        stack = cloudformation.describe_stacks(StackName=name)["Stacks"][0]
        self.outputs = {output["OutputKey"]: output["OutputValue"] for output in stack["Outputs"]}
        resources = cloudformation.describe_stack_resources(StackName=name)["StackResources"]
        self.resources = {resource["LogicalResourceId"]: resource["PhysicalResourceId"] for resource in resources}
        self.sqs, self.cloudwatch = emulator.client("sqs"), emulator.client("cloudwatch")
        api = self.resources["HttpApi"]
        # The emulator's own address of an API, in place of the output ApiUrl.
        self.url = f"{emulator.url}/_aws/execute-api/{api}/$default"
        self.client = None
        # The emulator loses what the template says of CORS.
        emulator.client("apigatewayv2").update_api(ApiId=api, CorsConfiguration={
            "AllowOrigins": ["*"], "AllowMethods": ["GET", "HEAD", "OPTIONS"], "AllowHeaders": ["if-none-match"],
        })

    def register(self):
        """Makes the key of a repository, and registers the GitHub token of an organisation."""
        self.client = Client(self.url, self.operate("secret", "create", f"{OWNER}/{REPO}")["key"])
        self.operate("token", "set", OWNER, environment={"BADGESMITH_GITHUB_TOKEN": GITHUB_TOKEN})

    def operate(self, *command, environment=None):
        """What an operator's command says of this stack."""
        said = run(
            PROGRAM, *command, "--stack", self.name, "--json",
            environment={**self.emulator.environment(), **(environment or {})}, reads=True,
        )
        return json.loads(said)

    def processes_of(self, function):
        return list(self.emulator.processes_of(f"{self.name}-{function}"))

    def let_fail(self, *rules):
        self.emulator.let_fail(*rules)

    def failed(self):
        return self.emulator.failed()

    def redeliver_after(self, seconds, receives_max=None, queue="ResultsQueueUrl"):
        """Has messages come again sooner than the template says, so that a test need not wait for minutes."""
        url = self.outputs[queue]
        attributes = {"VisibilityTimeout": str(seconds)}
        if receives_max:
            policy = self.sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["RedrivePolicy"])["Attributes"]
            policy = {**json.loads(policy["RedrivePolicy"]), "maxReceiveCount": receives_max}
            attributes["RedrivePolicy"] = json.dumps(policy)
        self.sqs.set_queue_attributes(QueueUrl=url, Attributes=attributes)

    def send(self, queue, content):
        self.sqs.send_message(QueueUrl=self.outputs[queue], MessageBody=content)

    def depth(self, queue):
        """What waits in a queue: the figure behind AWS/SQS ApproximateNumberOfMessagesVisible."""
        name = "ApproximateNumberOfMessages"
        attributes = self.sqs.get_queue_attributes(QueueUrl=self.outputs[queue], AttributeNames=[name])
        return int(attributes["Attributes"][name])

    def take_all(self, queue):
        """Takes all messages from a queue."""
        url, taken = self.outputs[queue], []
        while True:
            answer = self.sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, MessageAttributeNames=["All"])
            messages = answer.get("Messages", [])
            if not messages:
                return taken
            for message in messages:
                self.sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
                taken.append(message)

    def alarm(self, name):
        return self.cloudwatch.describe_alarms(AlarmNames=[f"{self.name}-{name}"])["MetricAlarms"][0]

    def publish(self, alarm, value):
        """Puts a value of the very metric that an alarm watches."""
        self.cloudwatch.put_metric_data(Namespace=alarm["Namespace"], MetricData=[{
            "MetricName": alarm["MetricName"], "Dimensions": alarm["Dimensions"], "Value": value,
            "Timestamp": datetime.now(timezone.utc),
        }])

    def metrics(self):
        """The names of the metrics in the logs of all functions, in embedded metric format and of this stack."""
        logs, names = self.emulator.client("logs"), set()
        for function in ("ingest-api", "processor", "refresher", "badge-api"):
            pages = logs.get_paginator("filter_log_events").paginate(logGroupName=f"/aws/lambda/{self.name}-{function}")
            for event in (event for page in pages for event in page["events"]):
                line = json.loads(event["message"]) if event["message"].startswith("{") else {}
                for metric in (metric for embedded in line.get("_aws", {}).get("CloudWatchMetrics", []) for metric in embedded["Metrics"]):
                    assert line["Stack"] == self.name and isinstance(line[metric["Name"]], int), line
                    names.add(metric["Name"])
        return names


def deploy(emulator, name, built, parameters):
    """Deploys what was built, with the command that a user types."""
    overrides = [f'{key}="{value}"' for key, value in parameters.items()]
    run(
        "sam", "deploy", "--template-file", built / "template.yaml", "--stack-name", name, "--resolve-s3",
        "--capabilities", "CAPABILITY_IAM", "--no-confirm-changeset", "--no-progressbar",
        "--parameter-overrides", *overrides,
        environment={**emulator.environment(), "SAM_CLI_POLL_DELAY": "0.5"}, quiet=True,
    )
    return Stack(emulator, name)


def delete(emulator, name):
    """Deletes a stack, with the command that a user types."""
    run(
        "sam", "delete", "--stack-name", name, "--no-prompts", "--region", REGION,
        environment=emulator.environment(), quiet=True,
    )
