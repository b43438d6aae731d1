"""`badgesmith doctor` and the black-box suite, run against the stack."""

import os
import re
import socket
from pathlib import Path

from report import Skipped
from tools import run

ROOT = Path(__file__).resolve().parents[2]
GITHUB_TOKEN = "BADGESMITH_GITHUB_TOKEN"


def badgesmith_doctor_finds_no_error(target):
    """`badgesmith doctor` stores a result through the CDN, and none of its checks fails."""
    environment = {"BADGESMITH_KEY": target.client.key}
    output = target.operate("doctor", "--repo", target.repository, "--url", target.url, environment=environment)
    checks = {check["check"]: check for check in output["checks"]}
    assert "round trip" in checks, f"no round trip: {sorted(checks)}"
    return f"{len(checks)} checks; {checks['round trip']['detail']}"


def the_black_box_suite_passes(target):
    """The tests of tests/blackbox pass through the CDN; those of packages only with --upstream."""
    upstream, token = target.options.upstream, os.environ.get(GITHUB_TOKEN)
    if upstream and not token:
        raise Skipped(f"with --upstream, {GITHUB_TOKEN} must be set")
    # Without --upstream, the suite serves one that the stack does not use.
    arguments = ["--"] + ([] if upstream else ["--skip", "packages::"])
    # The HTTP API allows ten history reads a second.
    arguments += [] if target.emulator else ["--test-threads", "2"]
    environment = {
        "BADGESMITH_URL": target.url, "BADGESMITH_REPOSITORY": target.repository, "BADGESMITH_KEY": target.client.key,
        "BADGESMITH_UPSTREAM": upstream or f"127.0.0.1:{free_port()}", GITHUB_TOKEN: token if upstream else "unused",
    }
    try:
        output = run("cargo", "test", "--test", "blackbox", *arguments, cwd=ROOT, environment=environment, capture=True)
    except SystemExit as error:
        failed = re.findall(r"^test (\S+) \.\.\. FAILED", str(error), re.MULTILINE)
        raise AssertionError(f"failed tests: {', '.join(failed)}\n{error}") from None
    summary = next((line for line in output.splitlines() if line.startswith("test result: ok.")), None)
    assert summary, f"the suite did not run: {output[-200:]}"
    left_out = "" if upstream else "; without packages, which need --upstream"
    return summary.removeprefix("test result: ok. ").split("; finished")[0] + left_out


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


CHECKS = [badgesmith_doctor_finds_no_error, the_black_box_suite_passes]
