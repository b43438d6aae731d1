"""Lints template.yaml, makes the archive for AWS, deploys it to a local AWS emulator, runs the checks of tests/aws and the
browser tests through its CDN, injects faults, upgrades, deletes and restores the stack, and deletes everything."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path

import faults
import lifecycle
from client import OWNER, REPO
from emulator import CREDENTIALS, Emulator, free_port
from signals import ignore_signals, stop_on_signals
from stack import GITHUB_TOKEN, METRICS, deploy, unpack
from tools import background, run

ROOT = Path(__file__).resolve().parents[2]
BUILT = ROOT / "target/deploy"
# The tables, queues and event bus, without the prefix.
NAMES = (
    "badge-test-results", "hmac-nonce", "badge-packages", "badge-secrets", "badge-results", "badge-results-dlq", "badge-refresh",
    "badge-refresh-dlq", "badge-refresh-events-dlq", "badge-events",
)
EM_AARCH64 = 183
ARM64_LIBRARIES = Path("/usr/aarch64-linux-gnu")
# Those that docs/deployment.md names.
REGIONS = (
    "af-south-1", "ap-east-1", "ap-northeast-1", "ap-northeast-2", "ap-northeast-3", "ap-south-1", "ap-southeast-1",
    "ap-southeast-2", "ap-southeast-3", "ca-central-1", "eu-central-1", "eu-north-1", "eu-south-1", "eu-west-1", "eu-west-2",
    "eu-west-3", "me-south-1", "sa-east-1", "us-east-1", "us-east-2", "us-west-1", "us-west-2",
)
# The check of tests/aws that fails once `Stack.open` has made the function URL public.
PRIVATE = "only_the_cdn_reaches_badge_api"
# The other checks of tests/aws that are skipped on the emulator.
SKIPPED = {
    "the_http_api_has_the_configured_limits", "the_http_api_throttles_history_reads", "the_http_api_throttles_posts",
    "the_cdn_caches_badges", "unknown_query_parameters_share_a_cached_copy", "the_cdn_caches_no_404",
    "pages_have_the_host_of_the_cdn", "errors_of_the_cdn_and_the_api_allow_any_origin", "preflight_requests_succeed",
    "plain_http_is_redirected_or_rejected", "roles_allow_only_the_items_of_their_functions", "cold_starts_are_short",
    "traces_connect_a_post_with_its_storage", "functions_record_their_metrics",
    "the_alarm_topic_has_a_confirmed_subscription", "no_function_was_denied_access",
    "badges_keep_their_message_while_badge_api_cannot_read",
}
# The schedule first runs about a minute after the deployment.
SCHEDULE_SECONDS_MAX = 180


def step(text):
    print(f"--- {text}", flush=True)


def lint():
    """Runs two linters for valid CloudFormation and one for security."""
    step("lint the template")
    run("sam", "validate", "--lint", "--template-file", "template.yaml", cwd=ROOT, environment=CREDENTIALS)
    run("cfn-lint", "template.yaml", "--regions", *REGIONS, cwd=ROOT)
    run("cfn-lint", "us-east-1.yaml", "--regions", "us-east-1", cwd=ROOT)
    run("checkov", "--config-file", ".checkov.yaml", cwd=ROOT)


def build_program():
    step("build the program")
    # Building the tests also builds the programs. `--package` would rebuild dependencies with fewer features.
    run("cargo", "test", "--no-run", "--test", "operate", "--test", "blackbox", cwd=ROOT)


def build_archive():
    """Makes the archive for the architecture of this machine, as a release does. Returns its path."""
    step("build the archive")
    architecture = {"aarch64": "arm64"}.get(os.uname().machine, os.uname().machine)
    run(ROOT / ".ci/aws-archive", architecture, BUILT)
    return BUILT / f"badgesmith-aws-{architecture}.tar.gz"


def build_from_source():
    """Starts to cross-compile one function for arm64, as docs/build-from-source.md says, while the stack is tested."""
    system = run("cargo", "lambda", "system", cwd=ROOT, capture=True)
    assert re.search(r"version: '\d", system), f"cargo-lambda finds no zig: {system}"
    # Optimizations would take three times as long.
    profile = {"LTO": "off", "OPT_LEVEL": "0", "CODEGEN_UNITS": "16"}
    return background(
        "sam", "build", "BadgeApi", "--build-dir", BUILT / "arm64", cwd=ROOT, log=BUILT / "arm64.log",
        environment={**CREDENTIALS, **{f"CARGO_PROFILE_RELEASE_{name}": value for name, value in profile.items()}},
    )


def check_built_from_source(wait):
    step("check the function for arm64")
    wait()
    program = BUILT / "arm64/BadgeApi/bootstrap"
    header = program.read_bytes()[:20]
    # e_machine, as `readelf --file-header` shows it.
    assert header[:4] == b"\x7fELF" and int.from_bytes(header[18:20], "little") == EM_AARCH64, header
    # Debian's packages qemu-user and libc6-arm64-cross, if they are there.
    if shutil.which("qemu-aarch64") and ARM64_LIBRARIES.is_dir():
        command = ["qemu-aarch64", "-L", ARM64_LIBRARIES, program]
        started = subprocess.run(command, env={"PATH": os.environ["PATH"]}, capture_output=True, text=True)
        assert "AWS_ACCESS_KEY_ID" in started.stderr, f"it does not ask for Lambda's variables: {started}"
        print("started with qemu")


def check_names(stack, prefix):
    """Checks the names of tables, queues and event bus in the outputs."""
    kinds = ("TableName", "QueueUrl", "BusName")
    names = {output.rsplit("/", 1)[-1] for key, output in stack.outputs.items() if key.endswith(kinds)}
    expected = {f"{prefix}-{name}" for name in NAMES}
    assert names == expected, f"expected the names {expected}, got {names}"


def check_secrets(stack, other):
    """Checks that stacks with different prefixes have different secrets, and that each has its own master key."""
    added = other.operate("repo", "add", f"{OWNER}/{REPO}", "--own-secret")
    assert added["secret"] == f"staging/repo/{OWNER}/{REPO}", added["secret"]
    derived = other.operate("repo", "rotate", f"{OWNER}/{REPO}", "--derived")
    assert derived["secret"] is None and derived["key"] != stack.client.key, "both stacks derive the same key"
    shown = stack.operate("repo", "show", f"{OWNER}/{REPO}", "--key")
    assert shown["key"] == stack.client.key, "the key is derived again"


def test_checks_of_aws():
    """Tests that each check of tests/aws rejects a wrong stack."""
    step("test the checks of a stack on AWS")
    run(sys.executable, "-B", "tests/aws/wrong_stacks.py", cwd=ROOT, environment={"PYTHONPATH": str(ROOT / "tests/deploy")})


def check_as_on_aws(stack, *options, skipped=frozenset()):
    """Runs the checks of tests/aws that the emulator supports. Those that it does not support must be `skipped`."""
    report = run(
        "tests/aws/run", stack.name, "--json", *options, cwd=ROOT, capture=True,
        environment={**stack.environment, "BADGESMITH_GITHUB_TOKEN": GITHUB_TOKEN},
    )
    checks = json.loads(report)["checks"]
    for check in checks:
        print(f"{check['check'].replace('_', ' ')}: {check['outcome']}, {check['actual']}")
    actual = {check["check"] for check in checks if check["outcome"] == "skipped"}
    assert actual == skipped, f"wrongly skipped: {sorted(actual - skipped)}, not skipped: {sorted(skipped - actual)}"


@contextmanager
def issuer_of_tokens():
    """Runs the tests' issuer of ID tokens, and yields its URL."""
    with subprocess.Popen([ROOT / "target/debug/issuer"], stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process.stdout.readline().strip().removeprefix("listening on ")
        finally:
            process.terminate()


def run_jobs_without_a_key(stack, issuer):
    step("run the jobs of the action without a key")
    faults.until(lambda: stack.knows_keys_of(issuer), "the refresher has not stored the issuer's keys", SCHEDULE_SECONDS_MAX)
    with tempfile.TemporaryDirectory() as reports:
        (Path(reports) / "junit.xml").write_text('<testsuite><testcase name="a"/><testcase name="b"/></testsuite>')
        run(ROOT / "tests/action/dogfood", ROOT / "target/debug/badgesmith", reports, stack.url, issuer)


def run_browser_tests(stack):
    step("run the browser tests through the CDN")
    run("tests/browser/run", cwd=ROOT, environment={"BADGESMITH_URL": stack.url, "BADGESMITH_KEY": stack.client.key})


def inject_faults(stack):
    step("inject faults")
    for fault in faults.ALL:
        started = time.monotonic()
        print(f"{fault.__name__.replace('_', ' ')}: ", end="", flush=True)
        print(f"{fault(stack)} ({time.monotonic() - started:.0f} s)")


def check_metrics(stack):
    step("check that the functions record their metrics and that the schedule runs")
    deadline = time.monotonic() + SCHEDULE_SECONDS_MAX
    while missing := METRICS - stack.metrics():
        if time.monotonic() > deadline:
            raise AssertionError(f"missing metrics: {sorted(missing)}")
        time.sleep(2)
    print(", ".join(sorted(METRICS)))


def delete_stacks(emulator, *stacks):
    step("delete the stacks; the tables with results and secret mappings remain")
    for stack in stacks:
        stack.delete()
    retained = {stack.outputs[table] for stack in stacks for table in ("TestResultsTableName", "SecretsTableName")}
    tables = set(emulator.client("dynamodb").list_tables()["TableNames"])
    assert tables == retained, f"expected the tables {retained}, got {tables}"
    assert not emulator.client("sqs").list_queues().get("QueueUrls"), "queues were not deleted"
    assert not emulator.client("lambda").list_functions()["Functions"], "functions were not deleted"


def wait_for_interrupt(emulator, stack):
    """Prints how to use the stack, and waits for Ctrl-C."""
    variables = {**CREDENTIALS, "AWS_ENDPOINT_URL": emulator.url, "STACK": stack.name, "URL": stack.url, "KEY": stack.client.key}
    print("the stack runs until Ctrl-C, with the repository acme/kit. To use it, run:", flush=True)
    print("export " + " ".join(f"{name}='{value}'" for name, value in variables.items()), flush=True)
    print('version 1 of the AWS CLI needs --endpoint-url "$AWS_ENDPOINT_URL" for sqs', flush=True)
    signal.pause()


def main(keep):
    started = time.monotonic()
    lint()
    test_checks_of_aws()
    build_program()
    archive = build_archive()
    with (
        build_from_source() as built, tempfile.TemporaryDirectory() as folder, Emulator(Path(folder)) as emulator,
        issuer_of_tokens() as issuer,
    ):
        try:
            step("deploy two stacks")
            upstream, port = f"127.0.0.1:{free_port()}", free_port()
            parameters = {
                "EndpointUrl": emulator.proxy_url,
                "NuGetServiceIndex": f"http://{upstream}/v3/index.json", "GitHubApi": f"http://{upstream}/github",
                "RefreshSchedule": "rate(1 minute)", "OidcIssuer": issuer,
            }
            # The emulator serves the stack at another address than its outputs, and runs no CloudFront Functions, so
            # the pages do not learn the host of the CDN.
            public = {"OidcOwners": OWNER, "PublicUrl": f"http://127.0.0.1:{port}"}
            stack = deploy(emulator, unpack(archive, Path(folder) / "badgesmith"), "badgesmith", {**parameters, **public})
            prefixes = {"TablePrefix": "staging", "SecretPrefix": "staging"}
            staging = unpack(archive, Path(folder) / "staging")
            other = deploy(emulator, staging, "badgesmith-staging", {**parameters, **prefixes})
            for deployed, prefix in ((stack, "badgesmith"), (other, "staging")):
                check_names(deployed, prefix)
            shared = set(stack.outputs.values()) & set(other.outputs.values())
            assert not shared, f"both stacks have the outputs {shared}"
            step("check that the function URL rejects unsigned requests")
            check_as_on_aws(stack, "--check", PRIVATE)
            stack.open(port)
            stack.register()
            check_secrets(stack, other)
            step("run the checks of tests/aws, with the black-box tests, through the CDN")
            options = ("--url", stack.url, "--upstream", upstream, "--skip", PRIVATE)
            check_as_on_aws(stack, *options, skipped={PRIVATE, *SKIPPED})
            run_browser_tests(stack)
            if keep:
                wait_for_interrupt(emulator, stack)
            run_jobs_without_a_key(stack, issuer)
            inject_faults(stack)
            check_metrics(stack)
            assert other.metrics() <= {"RefreshLag"}, "the other stack has processed something"
            step("protect the stack and upgrade it")
            stack = lifecycle.protect_and_upgrade(stack, archive)
            step("delete the stack and restore it from what it retains")
            stack = lifecycle.delete_and_restore(stack)
            delete_stacks(emulator, stack, other)
            check_built_from_source(built)
        except BaseException:
            if not keep:
                print(*emulator.logs(), sep="\n", file=sys.stderr)
            raise
        finally:
            # The `with` block cleans up.
            ignore_signals()
    print(f"deployed, tested and deleted in {time.monotonic() - started:.0f} s")


if __name__ == "__main__":
    stop_on_signals()
    try:
        if "--build" in sys.argv:
            build_archive()
        else:
            main(keep="--keep" in sys.argv)
    except KeyboardInterrupt:
        sys.exit(130)
