"""Checks a deployed stack, and reports what each check expected and found."""

import sys

import cdn
import http_api
import observability
import options as command_line
import origins
import permissions
import suite
from botocore.exceptions import BotoCoreError, ClientError
from report import FAILED, print_json, print_table, run_check
from signals import ignore_signals, stop_on_signals
from target import Target, progress

# The origins come first, while the history is short. Observability comes late, so that AWS has recorded the other checks, but
# before the check that denies calls.
CHECKS = [
    *origins.CHECKS, *suite.CHECKS, *http_api.CHECKS, *cdn.CHECKS, *permissions.CHECKS, *observability.CHECKS,
    cdn.badges_keep_their_message_while_badge_api_cannot_read,
]
NAMES = [check.__name__ for check in CHECKS]
USAGE_ERROR = 2


def fail(message):
    print(f"error: {message}", file=sys.stderr)
    sys.exit(USAGE_ERROR)


def find(options):
    """Finds the stack, or exits with an error."""
    try:
        return Target(options)
    except ClientError as error:
        fail(f"cannot describe the stack {options.stack}: {error}; check its name, AWS_PROFILE and AWS_REGION")
    except BotoCoreError as error:
        fail(f"{error}; set AWS_PROFILE and AWS_REGION, as for the AWS CLI")
    except KeyError as error:
        fail(f"the stack {options.stack} was not deployed from template.yaml: it has no {error}")


def the_repository_of_this_run_is_removed(target):
    """`badgesmith` removes the repository, and erases its results."""
    target.remove()
    return f"removed {target.repository}"


def main(options):
    if options.list:
        print(*NAMES, sep="\n")
        return 0
    if unknown := {*options.check, *options.skip} - set(NAMES):
        fail(f"unknown checks: {', '.join(sorted(unknown))}; see --list")
    target = find(options)
    if target.emulator and options.record:
        fail("--record needs AWS, and AWS_ENDPOINT_URL is an emulator")
    outcomes = []
    try:
        try:
            for check in CHECKS:
                if not options.check or check.__name__ in options.check:
                    outcomes.append(run_check(check, target, options.skip))
        finally:
            ignore_signals()
    finally:
        if target.registered:
            outcomes.append(run_check(the_repository_of_this_run_is_removed, target, []))
            # No report follows after an interrupt.
            progress(outcomes[-1]["actual"])
    if file := origins.write(target):
        progress(f"wrote {file}")
    if options.json:
        print_json(options.stack, outcomes)
    else:
        print_table(outcomes)
    return int(any(outcome["outcome"] == FAILED for outcome in outcomes))


if __name__ == "__main__":
    stop_on_signals()
    try:
        sys.exit(main(command_line.parse()))
    except KeyboardInterrupt:
        sys.exit(130)
