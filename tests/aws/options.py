"""The options of tests/aws/run. This module needs no package, so --help works before anything is installed."""

import argparse

HELP = """\
Checks a deployed stack on AWS for what an emulator cannot show. Prints a table with the outcome of each check, `ok`,
`FAILED` or `skipped`, what it expected, and what it found.

Registers a temporary repository, badgesmith-verification/ID, and removes it with its results at the end. Changes nothing
else, except with --outage. Should take six minutes after the build, and cost less than a cent for about 200 results
and 1,000 reads. One check sends 200 history reads at once, so other clients may get 429 for a moment.
"""
EXAMPLES = """\
examples:
  tests/aws/run badgesmith
  tests/aws/run badgesmith --check the_cdn_caches_badges --check cold_starts_are_short
  tests/aws/run badgesmith --record           then: cargo test --workspace --lib gateway
  BADGESMITH_GITHUB_TOKEN=any tests/aws/run trial --upstream host.example.org:8080 --outage --flood

environment:
  AWS_PROFILE, AWS_REGION, ...   credentials and region, as for the AWS CLI; docs/verification.md lists the permissions
  AWS_ENDPOINT_URL               URL of an emulator of AWS, on which many checks are skipped
  BADGESMITH_GITHUB_TOKEN        with --upstream, the stack's token for the organization acme

exit codes:
  0  no check failed
  1  a check failed
  2  usage error, or the stack cannot be checked
"""


def parse(arguments=None):
    parser = argparse.ArgumentParser(
        "tests/aws/run", description=HELP, epilog=EXAMPLES, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("stack", metavar="STACK", nargs="?", help="name of the stack")
    parser.add_argument("--url", help="URL of the service [default: the output CdnUrl]")
    parser.add_argument("--check", action="append", default=[], metavar="NAME", help="run only this check; can be repeated")
    parser.add_argument("--skip", action="append", default=[], metavar="NAME", help="skip this check; can be repeated")
    parser.add_argument("--list", action="store_true", help="print the names of the checks, and run none")
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of a table")
    parser.add_argument(
        "--record", action="store_true",
        help="write what reached the origins to local/src/gateway/origins.json, which the tests of `local` replay, instead of "
        "target/aws/origins.json",
    )
    parser.add_argument(
        "--upstream", metavar="HOST:PORT",
        help="include the packages in the black-box suite; the stack must use this upstream",
    )
    parser.add_argument(
        "--flood", action="store_true",
        help="exceed PostsPerSecond; other clients may get 429 for some seconds, and retry",
    )
    parser.add_argument(
        "--outage", action="store_true",
        help="deny badge-api access to the items of the temporary repository for three minutes, with an inline policy",
    )
    options = parser.parse_args(arguments)
    if not options.stack and not options.list:
        parser.error("STACK is missing")
    return options


if __name__ == "__main__":
    parse(["--help"])
