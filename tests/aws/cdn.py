"""The CDN: what it caches and for how long, and what it adds to requests and responses."""

import json
import re
import time
import urllib.parse

from botocore.exceptions import BotoCoreError, ClientError
from report import Skipped
from signals import ignore_signals, stop_on_signals
from target import unique

# CloudFront caches other errors for 10 s by default.
ERROR_CODES = {400, 403, 404, 405, 414, 416, 500, 501, 502, 503, 504}
ERROR_SECONDS_MAX = 1
# The servers of an edge location do not all have a cached copy at once.
READS_MAX = 5
# A badge is fresh for 30 s at badge-api, and for another 30 s at the CDN.
FRESH_SECONDS = 65
POLICY_SECONDS_MAX = 120
POLICY = "verification-outage"
DELETIONS_MAX, DELETION_SECONDS = 5, 2
ORIGIN = {"Origin": "https://a.test"}


def the_cdn_caches_badges(target):
    """The first read of a new badge is a miss, and a second one within 30 s is a hit."""
    target.needs_aws("does not cache in its CDN")
    path = new_badge(target)
    first, later = target.read(path).cache, read_until_hit(target, path)
    assert first.startswith("Miss") and later, f"first {first!r}, then {'a hit' if later else 'no hit'}"
    return f"{first}, then {later.cache}, age {later.headers.get('age')}"


def unknown_query_parameters_share_a_cached_copy(target):
    """After a read without a query, a read with a new ?x= is a hit, but the first read with ?suite=x is a miss."""
    target.needs_aws("does not cache in its CDN")
    path = new_badge(target)
    target.read(path)
    unknown, known = read_until_hit(target, path, unique("?x=")), target.read(f"{path}?suite=x").cache
    assert unknown and known.startswith("Miss"), f"?x=: {unknown.cache if unknown else 'no hit'}, ?suite=x: {known}"
    return f"?x=: {unknown.cache}, ?suite=x: {known}"


def the_cdn_caches_no_404(target):
    """Two reads of an unknown path, and two of the redirect of a branch without results, get 404 without an age."""
    target.needs_aws("does not cache in its CDN")
    for path in (f"/{unique('nowhere')}", new_badge(target).replace("/badges/tests/", "/redirect/test-results/")):
        for _ in range(2):
            response = target.read(path)
            assert response.status == 404, f"status {response.status} for {path}"
            cached = "age" in response.headers or not response.cache.startswith("Error")
            assert not cached, f"{response.cache}, age {response.headers.get('age')} for {path}"
    return "Error from cloudfront, without an age"


def the_distribution_limits_the_caching_of_errors(target):
    """The distribution has an ErrorCachingMinTTL of at most 1 for each error that CloudFront can cache."""
    config = target.aws("cloudfront").get_distribution_config(Id=target.resources["Cdn"])["DistributionConfig"]
    responses = {item["ErrorCode"]: item.get("ErrorCachingMinTTL") for item in config["CustomErrorResponses"].get("Items", [])}
    seconds = {code: responses.get(code) for code in sorted(ERROR_CODES | responses.keys())}
    wrong = {code: value for code, value in seconds.items() if value is None or value > ERROR_SECONDS_MAX}
    wrong = [f"{'10 s, the default,' if value is None else f'{value} s'} for {code}" for code, value in wrong.items()]
    assert not wrong, ", ".join(wrong)
    return f"at most {max(responses.values())} s for {len(responses)} codes"


def badges_keep_their_message_while_badge_api_cannot_read(target):
    """While badge-api is denied the results of this repository, its badge keeps its message, and a new branch gets 503."""
    target.needs_aws("does not enforce policies of roles; tests/deploy makes the reads fail instead")
    if not target.options.outage:
        raise Skipped("needs --outage, because it changes the role of badge-api for three minutes")
    badge, branch = target.client.badge, unique("kept")
    target.until_shown(branch)
    # Only the items of this repository, so that no other badge is affected.
    keys = [f"{kind}#{target.repository.replace('/', '#')}*" for kind in ("LATEST", "TEST")]
    statement = {
        "Effect": "Deny", "Action": "dynamodb:*", "Resource": "*",
        "Condition": {"ForAnyValue:StringLike": {"dynamodb:LeadingKeys": keys}},
    }
    policy = {"RoleName": target.resources["BadgeApiRole"], "PolicyName": POLICY}
    iam = target.aws("iam")
    # Without the permission to delete the policy, it must not be put. A killed run may have left it.
    delete_policy(iam, policy)
    try:
        try:
            iam.put_role_policy(**policy, PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": statement}))
            started = time.monotonic()
            while target.client.badge_and_status(unique("unread")) != ("unavailable", 503):
                if time.monotonic() > started + POLICY_SECONDS_MAX:
                    raise Skipped(f"the policy of the role had no effect within {POLICY_SECONDS_MAX} s")
                time.sleep(2)
            time.sleep(FRESH_SECONDS)
            kept = target.client.badge_and_status(branch)
            assert kept == ("190 passed", 200), f"{kept} after {FRESH_SECONDS} s"
        finally:
            ignore_signals()
    finally:
        delete_policy_or_fail(iam, policy)
    stop_on_signals()
    target.until(lambda: badge(unique("unread")) == "no results", "badge-api did not recover")
    return f"190 passed after {FRESH_SECONDS} s, and 503 for a new branch"


def pages_have_the_host_of_the_cdn(target):
    """The canonical URL of a page has the host of the CDN, even if the client sends X-Forwarded-Host."""
    target.needs_aws("runs no functions in its CDN; tests/browser tests the code of the function")
    if target.parameters["PublicUrl"]:
        raise Skipped("PublicUrl is set, so pages do not use the host of the request")
    target.until_shown("main")
    for headers in ({}, {"X-Forwarded-Host": "a.test"}):
        page = target.read(f"/repos/{target.repository}", headers=headers)
        hosts = {urllib.parse.urlsplit(link).netloc for link in re.findall(r'rel="canonical" href="([^"]*)', page.text)}
        assert hosts == {urllib.parse.urlsplit(target.url).netloc}, f"{hosts or page.text[:100]} with {headers}"
    return hosts.pop()


def errors_of_the_cdn_and_the_api_allow_any_origin(target):
    """The CDN's 403 to a PUT, and the HTTP API's 404, have Access-Control-Allow-Origin: *."""
    target.needs_aws("adds no headers in its CDN")
    for method, path, status in (("PUT", new_badge(target), 403), ("DELETE", "/tests/results", 404)):
        response = target.read(path, method, headers=ORIGIN)
        actual = (response.status, response.headers.get("access-control-allow-origin"))
        assert actual == (status, "*"), f"{actual} for {method} {path}"
    return "403 and 404 with *"


def preflight_requests_succeed(target):
    """OPTIONS for a badge, /health and a history gets 204 with Access-Control-Allow-Origin: *."""
    target.needs_aws("answers OPTIONS itself; the black-box suite sends preflight requests there")
    for path in (new_badge(target), "/health", f"/tests/results/{target.repository}"):
        response = target.read(path, "OPTIONS", headers={**ORIGIN, "Access-Control-Request-Method": "GET"})
        actual = (response.status, response.headers.get("access-control-allow-origin"))
        assert actual == (204, "*"), f"{actual} for {path}"
    return "204 and *"


def plain_http_is_redirected_or_rejected(target):
    """With http, /health is redirected to https, and a history gets 403."""
    target.needs_aws("serves http only")
    url = target.url.replace("https://", "http://")
    statuses = [target.read(path, url=url).status for path in ("/health", f"/tests/results/{target.repository}")]
    assert statuses == [301, 403], statuses
    return "301 and 403"


def delete_policy(iam, policy):
    """Deletes an inline policy of a role, if there is one."""
    try:
        iam.delete_role_policy(**policy)
    except ClientError as error:
        if error.response["Error"]["Code"] != "NoSuchEntity":
            raise


def delete_policy_or_fail(iam, policy):
    """Deletes the policy, with retries. If the policy remains, the check fails, whatever the error is."""
    for _ in range(DELETIONS_MAX):
        try:
            return delete_policy(iam, policy)
        except (BotoCoreError, ClientError) as error:
            last = error
        time.sleep(DELETION_SECONDS)
    raise AssertionError(f"the policy {policy['PolicyName']} of {policy['RoleName']} remains; delete it: {last}")


def new_badge(target):
    """The path of a badge that no one has read."""
    return f"/badges/tests/linux/{target.repository}/{unique('new')}"


def read_until_hit(target, path, query=""):
    """Returns the first response from the cache, or `None`. Each read has a different query, unless `query` is empty."""
    responses = (target.read(path + (f"{query}{number}" if query else "")) for number in range(READS_MAX))
    return next((response for response in responses if response.cache.startswith("Hit")), None)


CHECKS = [
    the_cdn_caches_badges, unknown_query_parameters_share_a_cached_copy, the_cdn_caches_no_404,
    the_distribution_limits_the_caching_of_errors, pages_have_the_host_of_the_cdn, errors_of_the_cdn_and_the_api_allow_any_origin,
    preflight_requests_succeed, plain_http_is_redirected_or_rejected,
]
