"""Runs checks, and reports their outcomes."""

import json
import shutil
import sys
import textwrap
import time

from botocore.exceptions import ClientError

OK, FAILED, SKIPPED = "ok", "FAILED", "skipped"
WIDTH_MIN, WIDTH_MAX = 100, 200
DENIED = {"AccessDenied", "AccessDeniedException", "AuthorizationError", "UnauthorizedOperation"}


class Skipped(Exception):
    """The check cannot run on this stack or with these options. The message says why."""


def run_check(check, target, skipped):
    """Runs a check: a function whose docstring says what it expects. It returns what it found, or raises `AssertionError`."""
    name = check.__name__
    print(f"{name.replace('_', ' ')} ... ", end="", file=sys.stderr, flush=True)
    started = time.monotonic()
    try:
        if name in skipped:
            raise Skipped("left out with --skip")
        outcome, actual = OK, check(target)
    except Skipped as reason:
        outcome, actual = SKIPPED, str(reason)
    except ClientError as error:
        denied = error.response.get("Error", {}).get("Code") in DENIED
        outcome, actual = (SKIPPED, f"missing permission: {error}") if denied else (FAILED, str(error))
    # A program that failed raises `SystemExit`. An error in one check does not stop the others.
    except (Exception, SystemExit) as error:
        outcome, actual = FAILED, str(error) if isinstance(error, (AssertionError, SystemExit)) else repr(error)
    print(f"{outcome} ({time.monotonic() - started:.0f} s)", file=sys.stderr, flush=True)
    first, _, rest = str(actual).partition("\n")
    if rest:
        # The output of a program is too long for a table.
        print(rest, file=sys.stderr, flush=True)
    return {"check": name, "expected": " ".join(check.__doc__.split()), "actual": first, "outcome": outcome}


def print_json(stack, outcomes):
    failed = sum(outcome["outcome"] == FAILED for outcome in outcomes)
    print(json.dumps({"stack": stack, "failed": failed, "checks": outcomes}, indent=2))


def print_table(outcomes):
    """Prints a table that fits the terminal, and the number of each outcome."""
    names = ("outcome", "check", "expected", "actual")
    width = min(max(shutil.get_terminal_size((WIDTH_MAX, 0)).columns, WIDTH_MIN), WIDTH_MAX) - len(names) * 2
    rest = width - len(SKIPPED)
    widths = (len(SKIPPED), rest * 2 // 9, rest * 3 // 9, rest * 4 // 9)
    print_row(names, widths)
    print_row(["-" * width for width in widths], widths)
    for outcome in outcomes:
        print_row([outcome["outcome"], outcome["check"].replace("_", " "), outcome["expected"], outcome["actual"]], widths)
    numbers = [(name, sum(outcome["outcome"] == name for outcome in outcomes)) for name in (OK, FAILED, SKIPPED)]
    print("\n" + ", ".join(f"{number} {name}" for name, number in numbers))


def print_row(cells, widths):
    columns = [textwrap.wrap(str(cell), width) or [""] for cell, width in zip(cells, widths)]
    for line in range(max(map(len, columns))):
        parts = [(column[line] if line < len(column) else "").ljust(width) for column, width in zip(columns, widths)]
        print("  ".join(parts).rstrip())
