"""Tests that each check accepts a correct stack and rejects a wrong one, and that a run cleans up. Classes imitate what the
checks use of AWS."""

import json
import signal
import time
import unittest
import urllib.parse
from datetime import datetime, timezone
from types import SimpleNamespace
from unittest import mock

import cdn
import http_api
import main
import observability
import origins
import permissions
import suite
from botocore.exceptions import ClientError
from report import FAILED, OK, SKIPPED, run_check
from signals import NUMBERS, stop_on_signals
from target import FUNCTIONS, NOT_FOUND, Response, Target
from tools import ProgramFailed

NOW = time.time()
UPDATED = NOW - 3600
OLD = datetime(2026, 1, 1, tzinfo=timezone.utc)
TABLES = ("TestResultsTableName", "NoncesTableName", "PackagesTableName", "SecretsTableName")
QUEUES = tuple(permissions.QUEUES.values())


def decoded(path, times):
    """Decodes a path, cuts it at a `?`, and decodes it again."""
    path = urllib.parse.unquote(path).split("?")[0]
    return urllib.parse.unquote(path) if times == 2 else path


class Client:
    """A client of an HTTP API that decodes paths, and of a badge-api that may survive outages."""

    def __init__(self, stack):
        self.stack, self.key = stack, "key"

    def body(self, branch, run_id):
        return b"{}"

    def headers(self, content):
        return {"X-Signature": "sha256=", "X-Repo-Secret": "a/b"}

    def submit(self, content):
        return "id"

    def request(self, path, headers, content):
        sent = path.removeprefix(f"/tests/results/linux/{self.stack.repository}")
        if "%25done" in sent:
            return 400, 0, {"message": "Bad Request"}
        # The function decodes the path that it gets.
        branch = urllib.parse.unquote(decoded(sent, self.stack.decodes)).removeprefix("/")
        self.stack.stored.append(branch)
        return 202, 0, {"test_result_id": len(self.stack.stored)}

    def badge(self, branch):
        return self.badge_and_status(branch)[0]

    def badge_and_status(self, branch):
        if branch.startswith(("kept", "main")) and (self.stack.survives or not self.stack.outage):
            return "190 passed", 200
        return ("unavailable", 503) if self.stack.outage else ("no results", 200)


class Stack(Target):
    """A correct stack. Each keyword argument makes one property wrong."""

    def __init__(self, **wrong):
        self.emulator, self.url, self.name, self.region, self.account = "", "https://cdn.test", "s", "eu-west-1", "1"
        self.partition, self.repository, self.started, self.created = "aws", "verification/1", NOW, OLD
        self.captured, self.registered, self.stored, self.copies, self.outage = {}, False, [], {}, None
        self.commands, self.queued = [], 0
        self.options = SimpleNamespace(outage=True, flood=True, upstream=None)
        self.parameters = {"Architecture": "arm64", "Tracing": "Active", "PostsPerSecond": "100", "PublicUrl": ""}
        names = (*TABLES, *QUEUES, "SecretPrefix", "EventBusName", "MasterKeyArn", "AlarmTopicArn")
        self.outputs = {name: f"https://q.test/{name}" if name in QUEUES else name for name in names}
        self.outputs["ApiUrl"] = "https://api.test"
        self.resources = {id: id for id in (*FUNCTIONS, "HttpApi", "Cdn", "BadgeApiRole")}
        correct = {
            "decodes": 2, "url_decodes": 0, "survives": True, "limit": 10, "statuses": (200, 429), "private": True,
            "caches": True, "forwards_all": False, "error_age": False, "error_seconds": 1, "copies_host": True, "cors": True,
            "plain_http": False,
            "drops": "Authorization", "extra_permission": None, "missing_permission": None, "item_conditions": True,
            # A few cold starts may be slow.
            "linked": True, "reported_ms": (35, 40, 900), "traced_ms": (35, 40, 900),
            "metrics": observability.METRICS, "subscription": "arn:aws:sns", "denied": [], "architecture": "arm64",
            "may_put": True, "may_delete": True, "failed_deletions": 1, "failing_commands": {},
        }
        for name, value in {**correct, **wrong}.items():
            assert name in correct, name
            setattr(self, name, value)
        self.__dict__["client"] = Client(self)
        self.__dict__["function_url"] = "https://function.test"

    def aws(self, service):
        return Aws(self)

    def operate(self, *command, environment=None):
        name = command[1]
        self.commands.append(f"{name} with {self.queued} queued")
        if name != "add":
            interrupt()
        if status := self.failing_commands.get(name):
            raise ProgramFailed(["badgesmith", *command], status, "error: no")
        return {"key": "key"}

    def read(self, path, method="GET", url=None, headers=None, body=None):
        plain, query = path.split("?")[0], urllib.parse.parse_qs(path.partition("?")[2])
        cors = {"access-control-allow-origin": "*"} if self.cors else {}
        if url == "https://function.test":
            return Response(403 if self.private else 200, {}, "")
        if url == "http://cdn.test":
            return Response(200 if self.plain_http else 301 if plain == "/health" else 403, {}, "")
        if path.endswith("?limit=1") or (url == self.api_url and method == "POST"):
            self.stored.append(path)
            status = self.statuses[len(self.stored) % len(self.statuses)]
            return Response(400 if method == "POST" and status == 200 else status, {}, "")
        if path.endswith("?limit=200"):
            results = [{"test_result_id": id, "branch": branch} for id, branch in enumerate(self.stored, 1)]
            return Response(200, {}, json.dumps({"results": results}))
        if method == "POST":
            return self.ingest(headers)
        if method in ("PUT", "DELETE"):
            return Response(403 if method == "PUT" else 404, cors, "")
        if method == "OPTIONS":
            return Response(204, cors, "")
        if query.get("to") == ["page"]:
            sent = plain.removeprefix(f"/redirect/test-results/linux/{self.repository}/")
            branch = urllib.parse.unquote(decoded(sent, self.url_decodes) if self.url_decodes else sent)
            return Response(302, {"location": f"/repos/a/b?branch={urllib.parse.quote(branch, safe='')}"}, "")
        if plain.startswith("/repos/"):
            host = "cdn.test" if self.copies_host else headers.get("X-Forwarded-Host", "function.test")
            return Response(200, {}, f'<link rel="canonical" href="https://{host}{plain}">')
        if not plain.startswith("/badges/"):
            return Response(404, {"x-cache": "Error from cloudfront", **({"age": "1"} if self.error_age else {})}, "")
        key = path if self.forwards_all else (plain, str(query.get("suite")))
        hit, self.copies[key] = self.caches and key in self.copies, True
        return Response(200, {"x-cache": "Hit from cloudfront" if hit else "Miss from cloudfront"}, "")

    def ingest(self, headers):
        headers = {name: value for name, value in headers.items() if name != self.drops}
        if "X-Timestamp" in headers:
            return Response(401, {}, json.dumps({"error_details": [{"property_name": "X-Timestamp"}]}))
        names = {"X-Signature", "X-Repo-Secret"} - headers.keys() | {"X-Id-Token", "Authorization"} & headers.keys()
        return Response(400, {}, json.dumps({"error_details": [{"property_name": name} for name in names]}))


class Aws:
    """A client of all AWS services."""

    def __init__(self, stack):
        self.stack = stack

    def get_paginator(self, operation):
        return SimpleNamespace(paginate=lambda **parameters: [getattr(self, operation)(**parameters)])

    def get_function_configuration(self, FunctionName):
        return {
            "Architectures": [self.stack.architecture], "TracingConfig": {"Mode": "Active"}, "Role": FunctionName,
            "LastModified": datetime.fromtimestamp(UPDATED, timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.000+0000"),
        }

    def get_queue_attributes(self, QueueUrl, AttributeNames):
        assert QueueUrl == self.stack.outputs["ResultsQueueUrl"]
        counts = {name: "0" for name in AttributeNames}
        if self.stack.queued:
            # The processor has received the last messages.
            counts["ApproximateNumberOfMessagesNotVisible"] = str(self.stack.queued)
            self.stack.queued -= 1
        return {"Attributes": counts}

    def get_stage(self, **_):
        reads = {"ThrottlingRateLimit": self.stack.limit, "ThrottlingBurstLimit": self.stack.limit}
        posts = {"ThrottlingRateLimit": 100.0, "ThrottlingBurstLimit": 100}
        return {"DefaultRouteSettings": posts, "RouteSettings": {route: reads for route in http_api.READ_ROUTES}}

    def get_distribution_config(self, Id):
        responses = [{"ErrorCode": code, "ErrorCachingMinTTL": self.stack.error_seconds} for code in cdn.ERROR_CODES]
        return {"DistributionConfig": {"CustomErrorResponses": {"Items": responses}}}

    def put_role_policy(self, PolicyDocument, **_):
        statement = json.loads(PolicyDocument)["Statement"]
        keys = statement["Condition"]["ForAnyValue:StringLike"]["dynamodb:LeadingKeys"]
        assert all("#verification#1" in key for key in keys), "the policy affects other repositories"
        if not self.stack.may_put:
            raise client_error("AccessDenied")
        self.stack.outage = True

    def delete_role_policy(self, **_):
        if not self.stack.may_delete:
            raise client_error("AccessDenied")
        if not self.stack.outage:
            raise client_error("NoSuchEntity")
        interrupt()
        if self.stack.failed_deletions:
            self.stack.failed_deletions -= 1
            raise client_error("AccessDenied")
        self.stack.outage = None

    def simulate_principal_policy(self, PolicySourceArn, ActionNames, ResourceArns, ContextEntries):
        names = {arn: name for name, (_, arn) in permissions.resources(self.stack).items()}
        name = names[ResourceArns[0]]
        allowed = {
            **permissions.ALLOWED[PolicySourceArn], f"log {PolicySourceArn}": {"logs:CreateLogStream", "logs:PutLogEvents"},
            "xray": {"xray:PutTraceSegments", "xray:PutTelemetryRecords"},
        }.get(name, set())
        key = ContextEntries[0]["ContextKeyValues"][0].split("#")[0] if ContextEntries and self.stack.item_conditions else None

        def may(action):
            items = permissions.ALLOWED_ITEMS[PolicySourceArn].get(action.split(":")[1])
            fits = key is None or items is None or key in items
            permission = name, action
            is_allowed = action in allowed and fits and permission != self.stack.missing_permission
            return is_allowed or permission == self.stack.extra_permission

        return {"EvaluationResults": [
            {"EvalActionName": action, "EvalDecision": "allowed" if may(action) else "implicitDeny"} for action in ActionNames
        ]}

    def filter_log_events(self, logGroupName, startTime, filterPattern):
        if "AccessDenied" in filterPattern:
            return {"events": [{"message": message} for message in self.stack.denied]}
        latest = [ms for at, ms in inits(self.stack.reported_ms) if at * 1000 >= startTime]
        return {"events": [{"message": json.dumps({"record": {"metrics": {"initDurationMs": ms}}})} for ms in latest]}

    def get_trace_summaries(self, FilterExpression, **_):
        return {"TraceSummaries": [{"Id": FilterExpression}]}

    def batch_get_traces(self, TraceIds):
        name = TraceIds[0].split('"')[1]
        trace_id = "1" if self.stack.linked or name == "s-ingest-api" else "2"
        parts = [
            {"name": "Initialization", "start_time": at, "end_time": at + ms / 1000} for at, ms in inits(self.stack.traced_ms)
        ]
        return {"Traces": [{"Segments": [{"Document": json.dumps({"name": name, "trace_id": trace_id, "subsegments": parts})}]}]}

    def list_metrics(self, RecentlyActive=None, **_):
        # Without `RecentlyActive`, CloudWatch also lists metrics that were last recorded two weeks ago.
        return {"Metrics": [{"MetricName": name} for name in (self.stack.metrics if RecentlyActive else observability.METRICS)]}

    def list_subscriptions_by_topic(self, TopicArn):
        return {"Subscriptions": [{"Endpoint": "a@example.org", "SubscriptionArn": self.stack.subscription}]}


def inits(latest):
    """The times and milliseconds of the latest init phases, and of slow ones of the previous version."""
    return [(UPDATED + 60, ms) for ms in latest] + [(UPDATED - 60, 900)] * 5


def client_error(code):
    return ClientError({"Error": {"Code": code, "Message": "no"}}, "an operation")


def interrupt():
    """Sends each signal that stops a run."""
    for number in NUMBERS:
        signal.raise_signal(number)


def registers(target):
    """A check that only registers the repository."""
    target.client


# The wrong properties of the stacks that each check must reject.
WRONG = {
    origins.branches_in_paths_arrive_as_recorded: [{"decodes": 1}, {"url_decodes": 1}],
    origins.headers_of_results_arrive: [
        {"drops": "X-Id-Token"}, {"drops": "X-Signature"}, {"drops": "X-Timestamp"}, {"drops": None},
    ],
    http_api.only_the_cdn_reaches_badge_api: [{"private": False}],
    http_api.functions_have_the_configured_architecture_and_tracing: [{"architecture": "x86_64"}],
    http_api.the_http_api_has_the_configured_limits: [{"limit": 100}, {"limit": None}],
    http_api.the_http_api_throttles_history_reads: [{"statuses": (200,)}, {"statuses": (200, 429, 503)}],
    http_api.the_http_api_throttles_posts: [{"statuses": (200,)}],
    cdn.the_cdn_caches_badges: [{"caches": False}],
    cdn.unknown_query_parameters_share_a_cached_copy: [{"forwards_all": True}, {"caches": False}],
    cdn.the_cdn_caches_no_404: [{"error_age": True}],
    cdn.the_distribution_limits_the_caching_of_errors: [{"error_seconds": 10}, {"error_seconds": None}],
    cdn.pages_have_the_host_of_the_cdn: [{"copies_host": False}],
    cdn.errors_of_the_cdn_and_the_api_allow_any_origin: [{"cors": False}],
    cdn.preflight_requests_succeed: [{"cors": False}],
    cdn.plain_http_is_redirected_or_rejected: [{"plain_http": True}],
    cdn.badges_keep_their_message_while_badge_api_cannot_read: [{"survives": False}, {"failed_deletions": 1000}],
    permissions.roles_allow_exactly_the_calls_of_their_functions: [
        {"extra_permission": ("TestResultsTable", "dynamodb:DeleteTable")},
        {"extra_permission": ("another table", "dynamodb:GetItem")},
        {"extra_permission": ("secret other", "secretsmanager:GetSecretValue")},
        {"missing_permission": ("ResultsQueue", "sqs:SendMessage")},
        {"missing_permission": ("PackagesTable index", "dynamodb:Query")},
    ],
    permissions.roles_allow_only_the_items_of_their_functions: [
        {"item_conditions": False}, {"missing_permission": ("SecretsTable", "dynamodb:PutItem")},
    ],
    observability.cold_starts_are_short: [{"reported_ms": (35, 900, 900)}, {"traced_ms": (35, 900, 900)}],
    observability.traces_connect_a_post_with_its_storage: [{"linked": False}],
    observability.functions_record_their_metrics: [{"metrics": ["RefreshLag"]}],
    observability.the_alarm_topic_has_a_confirmed_subscription: [{"subscription": "PendingConfirmation"}],
    observability.no_function_was_denied_access: [{"denied": ["AccessDeniedException"]}],
}


class Checks(unittest.TestCase):
    def setUp(self):
        # Waiting takes no time, and progress is not printed.
        clock = iter(range(10**9))
        for replaced in (
            mock.patch("time.sleep"), mock.patch("time.monotonic", lambda: next(clock)), mock.patch("report.print"),
        ):
            replaced.start()
            self.addCleanup(replaced.stop)
        for number in NUMBERS:
            self.addCleanup(signal.signal, number, signal.getsignal(number))
        stop_on_signals()


class WrongStacks(Checks):
    def outcome(self, check, **wrong):
        stack = Stack(**wrong)
        stop_on_signals()
        outcome = run_check(check, stack, [])
        self.assertTrue(stack.outage is None or stack.failed_deletions, "the policy of the role remains")
        return outcome

    def test_a_check_accepts_a_correct_stack_and_rejects_a_wrong_one(self):
        self.assertEqual(set(main.CHECKS) - set(suite.CHECKS), WRONG.keys())
        for check, stacks in WRONG.items():
            with self.subTest(check.__name__):
                self.assertEqual(self.outcome(check)["outcome"], OK, self.outcome(check))
            for wrong in stacks:
                with self.subTest(check.__name__, **wrong):
                    self.assertEqual(self.outcome(check, **wrong)["outcome"], FAILED, self.outcome(check, **wrong))

    def test_a_check_that_changes_or_floods_the_stack_needs_an_option(self):
        for check in (cdn.badges_keep_their_message_while_badge_api_cannot_read, http_api.the_http_api_throttles_posts):
            stack = Stack()
            stack.options = SimpleNamespace(outage=False, flood=False)
            self.assertEqual(run_check(check, stack, [])["outcome"], SKIPPED)


class Cleanup(Checks):
    """Signals arrive during each cleanup."""

    def run_main(self, stack, *checks):
        """Runs checks. Returns their outcomes, or `None` if they were interrupted, and the printed progress."""
        del stack.__dict__["client"]
        options = SimpleNamespace(list=False, check=[], skip=[], record=False, json=False, stack="s")
        with (
            mock.patch("main.find", lambda _: stack), mock.patch("main.CHECKS", checks), mock.patch("target.build"),
            mock.patch("main.progress") as progress, mock.patch("main.print_table") as table,
        ):
            try:
                main.main(options)
            except KeyboardInterrupt:
                pass
        outcomes = {outcome["check"]: outcome for outcome in table.call_args.args[0]} if table.called else None
        return outcomes, [call.args[0] for call in progress.call_args_list]

    def test_a_policy_that_remains_fails_the_check_and_is_named(self):
        outcome = run_check(cdn.badges_keep_their_message_while_badge_api_cannot_read, Stack(failed_deletions=1000), [])
        self.assertEqual(outcome["outcome"], FAILED)
        self.assertIn("the policy verification-outage of BadgeApiRole remains; delete it", outcome["actual"])

    def test_without_the_permissions_to_put_and_delete_the_policy_it_is_not_put(self):
        for missing in ("may_put", "may_delete"):
            stack = Stack(**{missing: False})
            outcome = run_check(cdn.badges_keep_their_message_while_badge_api_cannot_read, stack, [])
            self.assertEqual(outcome["outcome"], SKIPPED, outcome)
            self.assertIsNone(stack.outage)

    def test_only_the_first_signal_interrupts(self):
        with self.assertRaises(KeyboardInterrupt):
            interrupt()
        interrupt()

    def test_the_policy_is_deleted_after_an_interrupt(self):
        stack = Stack()
        with mock.patch.object(stack.client, "badge_and_status", side_effect=lambda branch: interrupt()):
            # The check must not be interrupted while it waits for its first badge.
            stack.until_shown = lambda branch: 0
            with self.assertRaises(KeyboardInterrupt):
                run_check(cdn.badges_keep_their_message_while_badge_api_cannot_read, stack, [])
        self.assertIsNone(stack.outage)

    def test_the_repository_is_removed_after_an_interrupt(self):
        stack = Stack()
        outcomes, progress = self.run_main(stack, registers, lambda target: interrupt())
        self.assertIsNone(outcomes)
        self.assertEqual([command.split()[0] for command in stack.commands], ["add", "remove", "erase"])
        self.assertEqual(progress, ["removed verification/1"])

    def test_a_failed_registration_is_removed(self):
        # The command may have stored the registration before it failed.
        for status in (0, NOT_FOUND):
            stack = Stack(failing_commands={"add": 1, "remove": status})
            outcomes, _ = self.run_main(stack, registers)
            self.assertEqual(outcomes["registers"]["outcome"], FAILED)
            self.assertEqual(outcomes["the_repository_of_this_run_is_removed"]["outcome"], OK)
            self.assertEqual([command.split()[0] for command in stack.commands], ["add", "remove", "erase"])

    def test_results_are_erased_after_a_failed_removal(self):
        stack = Stack(failing_commands={"remove": 1})
        outcomes, progress = self.run_main(stack, registers)
        self.assertEqual(outcomes["the_repository_of_this_run_is_removed"]["outcome"], FAILED)
        self.assertEqual([command.split()[0] for command in stack.commands], ["add", "remove", "erase"])
        self.assertIn("failed to remove verification/1: error: badgesmith repo remove", progress[0])

    def test_results_are_erased_when_none_is_queued(self):
        stack = Stack()
        stack.queued = 3
        self.run_main(stack, registers)
        self.assertEqual(stack.commands, ["add with 3 queued", "remove with 3 queued", "erase with 0 queued"])

    def test_results_are_erased_although_the_queue_never_becomes_empty(self):
        stack = Stack()
        stack.queued = 10**4
        outcomes, _ = self.run_main(stack, registers)
        self.assertEqual(outcomes["the_repository_of_this_run_is_removed"]["outcome"], OK)
        self.assertEqual([command.split()[0] for command in stack.commands], ["add", "remove", "erase"])
        self.assertGreater(stack.queued, 0)


if __name__ == "__main__":
    unittest.main()
