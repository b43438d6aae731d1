"""The HTTP API and the function URL: which requests they accept, and how many a second."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor

from report import Skipped
from target import FUNCTIONS

READ_ROUTES = {f"{method} /tests/results/{{proxy+}}" for method in ("GET", "HEAD", "OPTIONS")}
READS_PER_SECOND = 10
READS = 200
# How many times PostsPerSecond is sent, and how many posts a second this client can send.
POSTS_FACTOR, POSTS_PER_SECOND_MAX = 5, 200
# Each concurrent read needs an instance of badge-api, and new accounts can run ten instances.
READERS, POSTERS = 8, 64


def only_the_cdn_reaches_badge_api(target):
    """The function URL answers unsigned requests with 403."""
    response = target.read("/health", url=target.function_url)
    assert response.status == 403, f"status {response.status}: {response.text[:100]}"
    return "403"


def functions_have_the_configured_architecture_and_tracing(target):
    """Each function has the architecture and the tracing of the stack's parameters."""
    expected = ([target.parameters["Architecture"]], target.parameters["Tracing"])
    for id, name in FUNCTIONS.items():
        function = target.function(id)
        actual = (function["Architectures"], function.get("TracingConfig", {}).get("Mode"))
        assert actual == expected, f"{name}: {actual} instead of {expected}"
    return f"{expected[0][0]}, tracing {expected[1]}"


def the_http_api_has_the_configured_limits(target):
    """The stage has the limit PostsPerSecond, and each history route has the limit 10 a second."""
    target.needs_aws("does not return the limits of a stage")
    stage = target.aws("apigatewayv2").get_stage(ApiId=target.resources["HttpApi"], StageName="$default")
    posts, routes = float(target.parameters["PostsPerSecond"]), stage["RouteSettings"]

    def limits(settings):
        return settings.get("ThrottlingRateLimit"), settings.get("ThrottlingBurstLimit")

    assert limits(stage["DefaultRouteSettings"]) == (posts, posts), stage["DefaultRouteSettings"]
    wrong = {route for route in READ_ROUTES if limits(routes.get(route, {})) != (READS_PER_SECOND, READS_PER_SECOND)}
    assert not wrong, f"wrong limits: {routes}"
    return f"{posts:g} a second, {READS_PER_SECOND} a second for {len(READ_ROUTES)} routes"


def the_http_api_throttles_history_reads(target):
    """Of 200 history reads at once, at least one gets 429, and the others 200."""
    target.needs_aws("does not throttle")
    path = f"/tests/results/{target.repository}?limit=1"
    return throttled(READS, READERS, lambda: target.read(path, url=target.api_url).status, {200, 429})


def the_http_api_throttles_posts(target):
    """Of five times PostsPerSecond invalid results at once, at least one gets 429, and the others 400."""
    target.needs_aws("does not throttle")
    posts = int(target.parameters["PostsPerSecond"])
    if not target.options.flood:
        raise Skipped("needs --flood, because other clients may get 429 for some seconds")
    if posts > POSTS_PER_SECOND_MAX:
        raise Skipped(f"PostsPerSecond is {posts}, but this client sends only about {POSTS_PER_SECOND_MAX} a second")
    send = lambda: target.read("/tests/results", "POST", target.api_url, body=b"{}").status
    return throttled(posts * POSTS_FACTOR, POSTERS, send, {400, 429})


def throttled(number, concurrent, send, expected):
    with ThreadPoolExecutor(concurrent) as pool:
        statuses = Counter(pool.map(lambda _: send(), range(number)))
    counts = ", ".join(f"{count} times {status}" for status, count in sorted(statuses.items()))
    assert statuses[429] and set(statuses) <= expected, counts
    return counts


CHECKS = [
    only_the_cdn_reaches_badge_api, functions_have_the_configured_architecture_and_tracing,
    the_http_api_has_the_configured_limits, the_http_api_throttles_history_reads, the_http_api_throttles_posts,
]
