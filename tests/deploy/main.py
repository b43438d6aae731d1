"""Lints template.yaml, builds the functions as they are deployed, deploys them to an emulator of AWS on this machine,
runs the black-box suite against the API, breaks things, and takes everything down."""

import os
import signal
import sys
import tempfile
import time
import zipfile
from pathlib import Path

import faults
from client import OWNER, REPO
from emulator import CREDENTIALS, Emulator, free_port
from stack import GITHUB_TOKEN, METRICS, delete, deploy
from tools import run

ROOT = Path(__file__).resolve().parents[2]
BUILT = ROOT / "target/deploy/build"
FUNCTIONS = ("IngestApi", "Processor", "Refresher", "BadgeApi")
# The schedule's first run comes a minute after the deployment, and some seconds.
METRICS_SECONDS_MAX = 180


def step(text):
    print(f"--- {text}", flush=True)


def lint():
    """Two linters for what CloudFormation takes, and one for what is safe."""
    step("the template is linted")
    run("sam", "validate", "--lint", "--template-file", "template.yaml", cwd=ROOT, environment=CREDENTIALS)
    run("cfn-lint", "template.yaml", cwd=ROOT)
    run("checkov", "--config-file", ".checkov.yaml", cwd=ROOT)


def build():
    """Builds for this machine, which has to run what is built."""
    step("the program is built, and the functions, with sam")
    # What has a test is built for it. With `--package`, dependencies would be built anew with fewer features.
    run("cargo", "test", "--no-run", "--test", "operate", cwd=ROOT)
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


def examine(stack):
    step("badgesmith finds everything in its place")
    # The emulator's API is not where the output says.
    checks = stack.operate(
        "doctor", "--repo", f"{OWNER}/{REPO}", "--url", stack.url, environment={"BADGESMITH_KEY": stack.client.key}
    )["checks"]
    print(", ".join(check["check"] for check in checks), checks[-1]["detail"], sep="; ")


def suite(stack, upstream):
    step("the black-box suite runs against the deployed API")
    run(
        "cargo", "test", "--test", "blackbox", cwd=ROOT, environment={
            "BADGESMITH_URL": stack.url, "BADGESMITH_KEY": stack.client.key, "BADGESMITH_UPSTREAM": upstream,
            "BADGESMITH_GITHUB_TOKEN": GITHUB_TOKEN,
        },
    )


def break_things(stack):
    for fault in faults.ALL:
        started = time.monotonic()
        print(f"{fault.__name__.replace('_', ' ')}: ", end="", flush=True)
        print(f"{fault(stack)} ({time.monotonic() - started:.0f} s)")


def check_metrics(stack):
    step("functions record their metrics, and the schedule runs")
    deadline = time.monotonic() + METRICS_SECONDS_MAX
    while missing := METRICS - stack.metrics():
        if time.monotonic() > deadline:
            raise AssertionError(f"never recorded: {sorted(missing)}")
        time.sleep(2)
    print(", ".join(sorted(METRICS)))


def take_down(emulator, *stacks):
    step("the stacks are deleted; results and mappings stay")
    for stack in stacks:
        delete(emulator, stack.name)
    kept = {stack.outputs[table] for stack in stacks for table in ("TestResultsTableName", "SecretsTableName")}
    left = set(emulator.client("dynamodb").list_tables()["TableNames"])
    assert left == kept, f"tables that are left: {left}"
    assert not emulator.client("sqs").list_queues().get("QueueUrls"), "queues are left"
    assert not emulator.client("lambda").list_functions()["Functions"], "functions are left"


def keep(emulator, stack):
    """Leaves the stack up, and says how to speak to it."""
    variables = {**CREDENTIALS, "AWS_ENDPOINT_URL": emulator.url, "STACK": stack.name, "URL": stack.url, "KEY": stack.client.key}
    print("the stack stays up until Ctrl-C; its repository is acme/kit. To speak to it, paste:", flush=True)
    print("export " + " ".join(f"{name}='{value}'" for name, value in variables.items()), flush=True)
    print('version 1 of the AWS CLI needs --endpoint-url "$AWS_ENDPOINT_URL" for sqs', flush=True)
    signal.pause()


def main(keeps):
    started = time.monotonic()
    lint()
    architecture = build()
    with tempfile.TemporaryDirectory() as folder, Emulator(Path(folder)) as emulator:
        try:
            step("the stack is deployed, and another one beside it")
            upstream = f"127.0.0.1:{free_port()}"
            parameters = {
                "Architecture": architecture, "EndpointUrl": emulator.proxy_url, "DeletionProtection": "false",
                "NuGetServiceIndex": f"http://{upstream}/v3/index.json", "GitHubApi": f"http://{upstream}/github",
                "RefreshSchedule": "rate(1 minute)",
            }
            stack = deploy(emulator, "badgesmith", BUILT, parameters)
            other = deploy(emulator, "badgesmith-staging", BUILT, parameters)
            shared = set(stack.outputs.values()) & set(other.outputs.values())
            assert not shared, f"the stacks share {shared}"
            stack.register()
            examine(stack)
            suite(stack, upstream)
            if keeps:
                keep(emulator, stack)
            step("things are broken")
            break_things(stack)
            check_metrics(stack)
            assert other.metrics() <= {"RefreshLag"}, "the other stack took part"
            take_down(emulator, stack, other)
        except BaseException:
            if not keeps:
                print(*emulator.logs(), sep="\n", file=sys.stderr)
            raise
    print(f"deployed, tried and taken down in {time.monotonic() - started:.0f} s")


def stop(*_):
    raise KeyboardInterrupt


if __name__ == "__main__":
    # Whoever ends it, the emulator ends with it.
    for ending in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(ending, stop)
    try:
        main(keeps="--keep" in sys.argv)
    except KeyboardInterrupt:
        sys.exit(130)
