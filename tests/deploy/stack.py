"""A deployed stack, with its resources and the operator commands on it."""

import json
import re
from datetime import datetime, timezone

from client import OWNER, REPO, Client
from deployment import Deployment
from edge import Edge
from emulator import REGION
from tools import run

GITHUB_TOKEN = "ghp_emulated"
# The metrics that functions record. A healthy stack never records ResultsRetried and BadgesUnavailable; the injected
# faults cause both.
METRICS = {
    "ResultsAccepted", "ResultsRefused", "AuthenticationFailures", "ResultsStored", "ResultsRetried", "StorageDelay",
    "BadgesUnavailable", "PackagesRefreshed", "PackagesFailed", "RefreshLag",
}


class Stack(Deployment):
    """A stack that was deployed from the unpacked archive in `folder`."""

    def __init__(self, emulator, name, folder):
        super().__init__(name, emulator.client, emulator.environment())
        self.emulator, self.folder = emulator, folder
        self.sqs, self.cloudwatch = emulator.client("sqs"), emulator.client("cloudwatch")
        self.client = self.edge = None

    def open(self, port):
        """Makes the stack accessible at `url`, on this port. Its function URL accepts unsigned requests from then on."""
        api, functions = self.resources["HttpApi"], self.emulator.client("lambda")
        function = self.resources["BadgeApi"]
        function_url = functions.get_function_url_config(FunctionName=function)["FunctionUrl"]
        function_url = function_url.removeprefix("https://").split(".")[0]
        self.edge = Edge(port, self.emulator.port, self.outputs["CdnDomainName"], api, function_url)
        # The emulator's CDN does not sign its requests.
        functions.update_function_url_config(FunctionName=function, AuthType="NONE")
        status, _, _ = self.edge.request("GET", f"/tests/results/{OWNER}/{REPO}")
        assert status == 502, f"expected that the emulator's CDN cannot reach the HTTP API, got status {status}"
        # The emulator answers OPTIONS itself, like API Gateway with CORS settings, which the template does not have.
        self.emulator.client("apigatewayv2").update_api(ApiId=api, CorsConfiguration={
            "AllowOrigins": ["*"], "AllowMethods": ["GET", "HEAD", "OPTIONS"], "AllowHeaders": ["if-none-match"],
        })

    @property
    def url(self):
        return self.edge.url

    def register(self):
        """Registers acme/kit, and the GitHub token of acme."""
        self.client = Client(self.url, self.operate("repo", "add", f"{OWNER}/{REPO}", "--posts-per-minute", "10000")["key"])
        self.operate("token", "set", OWNER, environment={"BADGESMITH_GITHUB_TOKEN": GITHUB_TOKEN})

    def doctor(self):
        """Returns the checks of `badgesmith doctor` by name."""
        # The emulator serves the stack at another address than its outputs.
        output = self.operate(
            "doctor", "--repo", f"{OWNER}/{REPO}", "--url", self.url, environment={"BADGESMITH_KEY": self.client.key}
        )
        return {check["check"]: check for check in output["checks"]}

    def deploy(self, *options):
        """Deploys it again, and returns it."""
        sam(self.emulator, self.folder, "deploy", *options)
        deployed = Stack(self.emulator, self.name, self.folder)
        deployed.client, deployed.edge = self.client, self.edge
        return deployed

    def delete(self):
        sam(self.emulator, self.folder, "delete", "--no-prompts")

    def save_parameters(self, **parameters):
        """Changes parameters in samconfig.toml."""
        file = self.folder / "samconfig.toml"
        text = file.read_text()
        for name, value in parameters.items():
            text, found = re.subn(rf'\b{name}=\\"[^"\\]*\\"', rf'{name}=\\"{value}\\"', text)
            assert found == 1, f"expected {name} once in {text}"
        file.write_text(text)

    def knows_keys_of(self, issuer):
        """Whether the refresher has stored the keys of an issuer of ID tokens."""
        key = {"PK": {"S": f"ISSUER#{issuer}"}, "SK": {"S": "META"}}
        table = self.outputs["SecretsTableName"]
        return "Item" in self.emulator.client("dynamodb").get_item(TableName=table, Key=key)

    def processes_of(self, function):
        return list(self.emulator.processes_of(f"{self.name}-{function}"))

    def set_faults(self, *rules):
        self.emulator.set_faults(*rules)

    def failed_calls(self):
        return self.emulator.failed_calls()

    def redeliver_after(self, seconds, receives_max=None, queue="ResultsQueueUrl"):
        """Shortens the visibility timeout of a queue, which is minutes in the template."""
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
        """Returns the number of visible messages: the metric AWS/SQS ApproximateNumberOfMessagesVisible."""
        name = "ApproximateNumberOfMessages"
        attributes = self.sqs.get_queue_attributes(QueueUrl=self.outputs[queue], AttributeNames=[name])
        return int(attributes["Attributes"][name])

    def delete_messages(self, queue):
        url = self.outputs[queue]
        while messages := self.sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages"):
            for message in messages:
                self.sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])

    def alarm(self, name):
        return self.cloudwatch.describe_alarms(AlarmNames=[f"{self.name}-{name}"])["MetricAlarms"][0]

    def publish(self, alarm, value):
        """Publishes a value of the metric that an alarm watches."""
        self.cloudwatch.put_metric_data(Namespace=alarm["Namespace"], MetricData=[{
            "MetricName": alarm["MetricName"], "Dimensions": alarm["Dimensions"], "Value": value,
            "Timestamp": datetime.now(timezone.utc),
        }])

    def metrics(self):
        """Returns the names of the metrics in the logs of all functions, in embedded metric format."""
        logs, names = self.emulator.client("logs"), set()
        for function in ("ingest-api", "processor", "refresher", "badge-api"):
            pages = logs.get_paginator("filter_log_events").paginate(logGroupName=f"/aws/lambda/{self.name}-{function}")
            for event in (event for page in pages for event in page["events"]):
                line = json.loads(event["message"]) if event["message"].startswith("{") else {}
                for embedded in line.get("_aws", {}).get("CloudWatchMetrics", []):
                    for metric in embedded["Metrics"]:
                        assert line["Stack"] == self.name and isinstance(line[metric["Name"]], int), line
                        names.add(metric["Name"])
        return names


def sam(emulator, folder, *command, answers=None):
    environment = {**emulator.environment(), "SAM_CLI_POLL_DELAY": "0.5"}
    run("sam", *command, cwd=folder, environment=environment, quiet=True, answers=answers)


def unpack(archive, folder):
    """Unpacks an archive for AWS, over an older one if there is one, and returns its directory."""
    folder.mkdir(exist_ok=True)
    run("tar", "xzf", archive, "-C", folder)
    return folder / archive.name.removesuffix(".tar.gz")


def deploy(emulator, folder, name, parameters):
    """Deploys with `sam deploy --guided`, which saves the answers."""
    section = (folder / "template.yaml").read_text().split("\nParameters:\n")[1].split("\nRules:\n")[0]
    asked = re.findall(r"^  (\w+):$", section, re.MULTILINE)
    unknown = parameters.keys() - set(asked)
    assert not unknown, f"the template has no parameters {unknown}"
    # The parameters, then: confirm changes, allow roles, disable rollback, save, file, environment.
    answers = [name, REGION, *(parameters.get(parameter, "") for parameter in asked), "n", "y", "n", "y", "", ""]
    sam(emulator, folder, "deploy", "--guided", answers=answers)
    return Stack(emulator, name, folder)
