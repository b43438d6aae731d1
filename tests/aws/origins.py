"""Which paths and headers reach the origins of the CDN. The tests of `local`, which imitates both origins, replay them.

A script outside AWS cannot read the event of a function. So these checks record what the response shows of it: the branch
that the service read from the path, and the headers that an error names. `local` must behave the same.
"""

import json
import re
import time
import urllib.parse
from datetime import datetime, timezone
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
RECORDED = ROOT / "local/src/gateway/origins.json"
CAPTURED = ROOT / "target/aws/origins.json"
SOURCE = "tests/aws/run, on AWS"
HTTP_API, FUNCTION_URL = "http_api", "function_url"
ANSWERED_SECONDS_MAX = 60
# The emulator decodes these once. An HTTP API on AWS decodes them twice, and cuts a path at a `?`.
DIFFERENT_ON_EMULATOR = re.compile("%25|%3F")


def branches_in_paths_arrive_as_recorded(target):
    """The service reads from each encoded path the branch that is recorded for it in local/src/gateway/origins.json."""
    recorded = recorded_paths()
    captured = [branch_at_function_url(target, sent) for origin, sent in recorded if origin == FUNCTION_URL]
    captured += branches_at_http_api(target, [sent for origin, sent in recorded if origin == HTTP_API])
    target.captured["paths"] = captured
    compared = [path for path in captured if not target.emulator or is_the_same_on_emulator(path)]
    wrong = [(path, recorded[path["origin"], path["sent"]]) for path in compared]
    wrong = [
        f"{path['origin']} {path['sent']}: {branch_or_status(path)!r} instead of {branch_or_status(expected)!r}"
        for path, expected in wrong if branch_or_status(path) != branch_or_status(expected)
    ]
    assert not wrong, "; ".join(wrong)
    left_out = "; the emulator decodes the others differently" if target.emulator else ""
    return f"{len(compared)} of {len(captured)} as recorded{left_out}"


def headers_of_results_arrive(target):
    """X-Signature, X-Repo-Secret, X-Id-Token and X-Timestamp reach ingest-api through the CDN, but Authorization does not."""
    def named(headers, path="/tests/results", body=b"{}"):
        response = target.read(path, "POST", headers=headers, body=body)
        return {detail.get("property_name") for detail in json.loads(response.text).get("error_details", [])}

    content = target.client.body("headers", 1)
    stale = {**target.client.headers(content), "X-Timestamp": "2020-01-01T00:00:00Z"}
    arrives = {
        "X-Signature": "X-Signature" in named({}) and "X-Signature" not in named({"X-Signature": f"sha256={'0' * 64}"}),
        "X-Repo-Secret": "X-Repo-Secret" in named({}) and "X-Repo-Secret" not in named({"X-Repo-Secret": "a/b"}),
        "X-Id-Token": "X-Id-Token" in named({"X-Id-Token": "x"}),
        "X-Timestamp": "X-Timestamp" in named(stale, f"/tests/results/linux/{target.repository}/headers", content),
        "Authorization": "Authorization" in named({"Authorization": "Bearer x"}),
    }
    if target.emulator:
        # tests/deploy sends results to the API without the CDN.
        del arrives["Authorization"]
    target.captured["headers"] = [{"origin": HTTP_API, "header": name, "arrives": does} for name, does in arrives.items()]
    wrong = [name for name, does in arrives.items() if does != (name != "Authorization")]
    assert not wrong, f"not as expected: {', '.join(wrong)}"
    return ", ".join(f"{name}: {'arrives' if does else 'does not'}" for name, does in arrives.items())


def recorded_paths():
    """The recorded paths by origin and sent path. Those that this script recorded take precedence."""
    captures = sorted(json.loads(RECORDED.read_text())["captures"], key=lambda capture: capture["source"] == SOURCE)
    return {(path["origin"], path["sent"]): path for capture in captures for path in capture["paths"]}


def is_the_same_on_emulator(path):
    return path["origin"] == FUNCTION_URL or not DIFFERENT_ON_EMULATOR.search(path["sent"])


def branch_or_status(path):
    """The branch that the service reads from a path, or the status. The service decodes the `raw_path` of an event."""
    if "raw_path" in path:
        return urllib.parse.unquote(path["raw_path"]).removeprefix("/")
    return path.get("branch") or f"status {path['status']}"


def branch_at_function_url(target, sent):
    """Reads the branch from a redirect to its page, which does not need results."""
    response = target.read(f"/redirect/test-results/linux/{target.repository}{sent}?to=page")
    query = urllib.parse.urlsplit(response.headers.get("location", "")).query
    branches = urllib.parse.parse_qs(query).get("branch", [])
    result = {"branch": branches[0]} if response.status == 302 and branches else {"status": response.status}
    return {"origin": FUNCTION_URL, "sent": sent, **result}


def branches_at_http_api(target, sent_paths):
    """Posts results with the branch in the path, and reads the branches from the history, which the CDN does not cache."""
    answers = [(sent, post_to(target, sent)) for sent in sent_paths]
    ids = {id for _, (_, id) in answers if id}
    stored = {}

    def all_stored():
        path = f"/tests/results/{target.repository}?limit=200"
        page = json.loads(target.read(path, url=target.api_url).text)
        stored.update({result["test_result_id"]: result["branch"] for result in page.get("results", [])})
        return ids <= stored.keys()

    target.until(all_stored, "the results are not in the history")
    return [
        {"origin": HTTP_API, "sent": sent, **({"branch": stored[id]} if id else {"status": status})}
        for sent, (status, id) in answers
    ]


def post_to(target, sent):
    """Posts a result in the older form, and retries after 5xx and 429. Returns the status and the id."""
    content = target.client.body(None, 1)
    path = f"/tests/results/linux/{target.repository}{sent}"
    deadline = time.monotonic() + ANSWERED_SECONDS_MAX
    while True:
        status, retry_after, response = target.client.request(path, target.client.headers(content), content)
        if status and status < 500 and status != 429:
            return status, response.get("test_result_id")
        assert time.monotonic() < deadline, f"the last response to {path} was {status} {response}"
        time.sleep(retry_after)


def write(target):
    """Replaces what this script captured before. Returns the written file, or `None` if nothing was captured."""
    if not target.captured:
        return None
    recorded = json.loads(RECORDED.read_text())
    source = f"{target.emulator}, an emulator" if target.emulator else SOURCE
    date = datetime.now(timezone.utc).date().isoformat()
    # If only one check ran, keep what the other one captured before.
    previous = next((capture for capture in recorded["captures"] if capture["source"] == source), {})
    others = [capture for capture in recorded["captures"] if capture["source"] != source]
    captures = [*others, {"paths": [], **previous, **target.captured, "source": source, "date": date}]
    file = RECORDED if target.options.record else CAPTURED
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(as_json(recorded["about"], captures))
    return file.relative_to(ROOT)


def as_json(about, captures):
    """JSON with one path or header on each line."""
    def lines(values):
        return ",\n".join(f"        {json.dumps(value, ensure_ascii=False)}" for value in values)

    parts = []
    for capture in captures:
        fields = [f'      {json.dumps(name)}: {json.dumps(capture[name])}' for name in ("source", "date")]
        fields += [f'      "{name}": [\n{lines(capture[name])}\n      ]' for name in ("paths", "headers") if name in capture]
        parts.append("    {\n" + ",\n".join(fields) + "\n    }")
    return f'{{\n  "about": {json.dumps(about)},\n  "captures": [\n' + ",\n".join(parts) + "\n  ]\n}\n"


CHECKS = [branches_in_paths_arrive_as_recorded, headers_of_results_arrive]
