"""Lints template.yaml, builds the functions for deployment, deploys them to a local AWS emulator, runs the black-box
and browser tests through its CDN, injects faults, and deletes everything."""

import os
import signal
import subprocess
import sys
import tempfile
import time
import zipfile
from contextlib import contextmanager
from pathlib import Path

import faults
from client import OWNER, REPO
from emulator import CREDENTIALS, Emulator, free_port
from stack import GITHUB_TOKEN, METRICS, delete, deploy
from tools import run

ROOT = Path(__file__).resolve().parents[2]
BUILT = ROOT / "target/deploy/build"
FUNCTIONS = ("IngestApi", "Processor", "Refresher", "BadgeApi")
# The tables, queues and event bus, without the prefix.
NAMES = (
    "badge-test-results", "hmac-nonce", "badge-packages", "badge-secrets", "badge-results", "badge-results-dlq", "badge-refresh",
    "badge-refresh-dlq", "badge-refresh-events-dlq", "badge-events",
)
# The schedule first runs about a minute after the deployment.
SCHEDULE_SECONDS_MAX = 180


def step(text):
    print(f"--- {text}", flush=True)


def lint():
    """Runs two linters for valid CloudFormation and one for security."""
    step("lint the template")
    run("sam", "validate", "--lint", "--template-file", "template.yaml", cwd=ROOT, environment=CREDENTIALS)
    run("cfn-lint", "template.yaml", cwd=ROOT)
    run("checkov", "--config-file", ".checkov.yaml", cwd=ROOT)


def build():
    """Builds for the architecture of this machine, and returns its name."""
    step("build the program, and the functions with sam")
    # Building the tests also builds the programs. `--package` would rebuild dependencies with fewer features.
    run("cargo", "test", "--no-run", "--test", "operate", "--test", "blackbox", cwd=ROOT)
    architecture = {"aarch64": "arm64"}.get(os.uname().machine, os.uname().machine)
    run(
        "sam", "build", "--build-dir", BUILT, "--parameter-overrides", f"Architecture={architecture}",
        cwd=ROOT, environment=CREDENTIALS,
    )
    for function in FUNCTIONS:
        binary = BUILT / function / "bootstrap"
        with tempfile.TemporaryFile() as file:
            with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
                archive.write(binary, "bootstrap")
            print(f"{function}: {binary.stat().st_size / 1e6:.2f} MB, zipped {file.tell() / 1e6:.2f} MB")
    return architecture


def check_names(stack, prefix):
    """Checks the names of tables, queues and event bus in the outputs."""
    names = {output.rsplit("/", 1)[-1] for key, output in stack.outputs.items() if key.endswith(("TableName", "QueueUrl", "BusName"))}
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


def run_doctor(stack):
    step("run badgesmith doctor")
    checks = stack.operate(
        "doctor", "--repo", f"{OWNER}/{REPO}", "--url", stack.url, environment={"BADGESMITH_KEY": stack.client.key}
    )["checks"]
    print(", ".join(check["check"] for check in checks), checks[-1]["detail"], sep="; ")


def run_black_box_tests(stack, upstream):
    step("run the black-box tests through the CDN")
    run(
        "cargo", "test", "--test", "blackbox", cwd=ROOT, environment={
            "BADGESMITH_URL": stack.url, "BADGESMITH_KEY": stack.client.key, "BADGESMITH_UPSTREAM": upstream,
            "BADGESMITH_GITHUB_TOKEN": GITHUB_TOKEN,
        },
    )


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
        delete(emulator, stack.name)
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
    architecture = build()
    with tempfile.TemporaryDirectory() as folder, Emulator(Path(folder)) as emulator, issuer_of_tokens() as issuer:
        try:
            step("deploy two stacks")
            upstream, port = f"127.0.0.1:{free_port()}", free_port()
            parameters = {
                "Architecture": architecture, "EndpointUrl": emulator.proxy_url, "DeletionProtection": "false",
                "NuGetServiceIndex": f"http://{upstream}/v3/index.json", "GitHubApi": f"http://{upstream}/github",
                "RefreshSchedule": "rate(1 minute)", "OidcIssuer": issuer,
            }
            # The emulator serves the stack at another address than its outputs, and runs no CloudFront Functions, so
            # nothing tells the pages the host of the CDN.
            public = {"OidcOwners": OWNER, "PublicUrl": f"http://127.0.0.1:{port}"}
            stack = deploy(emulator, "badgesmith", BUILT, {**parameters, **public})
            prefixes = {"TablePrefix": "staging", "SecretPrefix": "staging"}
            other = deploy(emulator, "badgesmith-staging", BUILT, {**parameters, **prefixes})
            for deployed, prefix in ((stack, "badgesmith"), (other, "staging")):
                check_names(deployed, prefix)
            shared = set(stack.outputs.values()) & set(other.outputs.values())
            assert not shared, f"both stacks have the outputs {shared}"
            stack.open(port)
            stack.register()
            check_secrets(stack, other)
            run_doctor(stack)
            run_black_box_tests(stack, upstream)
            run_browser_tests(stack)
            if keep:
                wait_for_interrupt(emulator, stack)
            run_jobs_without_a_key(stack, issuer)
            inject_faults(stack)
            check_metrics(stack)
            assert other.metrics() <= {"RefreshLag"}, "the other stack has processed something"
            delete_stacks(emulator, stack, other)
        except BaseException:
            if not keep:
                print(*emulator.logs(), sep="\n", file=sys.stderr)
            raise
    print(f"deployed, tested and deleted in {time.monotonic() - started:.0f} s")


def stop(*_):
    raise KeyboardInterrupt


if __name__ == "__main__":
    # The emulator also stops after these signals.
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, stop)
    try:
        main(keep="--keep" in sys.argv)
    except KeyboardInterrupt:
        sys.exit(130)
