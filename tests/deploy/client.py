"""A client that keeps the promise from its side: it sends the same bytes until they are accepted."""

import hashlib
import hmac
import json
import time
import urllib.error
import urllib.parse
import urllib.request
import uuid
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timezone

OWNER, REPO = "acme", "kit"
ACCEPTED_SECONDS_MAX = 90
AT_ONCE = 8


def body(branch, run_id):
    """A result of 190 passed tests, as the bytes that are signed and sent."""
    now = datetime.now(timezone.utc).isoformat()
    return json.dumps({
        "owner": OWNER, "repo": REPO, "platform": "linux", "branch": branch, "run_id": str(run_id),
        "passed": 190, "failed": 0, "skipped": 0, "total": 190, "timestamp": now, "nonce": str(uuid.uuid4()),
    }).encode()


class Client:
    """A client of the API at one base URL, with the repository's key."""

    def __init__(self, url, key):
        self.url, self.key = url, key

    def submit(self, content):
        """Sends a result until it is accepted, and returns its id."""
        signature = hmac.new(self.key.encode(), content, hashlib.sha256).hexdigest()
        headers = {
            "Content-Type": "application/json", "X-Repo-Secret": f"{OWNER}/{REPO}", "X-Signature": f"sha256={signature}",
        }
        deadline = time.monotonic() + ACCEPTED_SECONDS_MAX
        while True:
            status, retry_after, answer = self._ask("/tests/results", headers, content)
            codes = [detail["error_code"] for detail in answer.get("error_details", [])]
            if status == 202 or codes == ["ALREADY_ACCEPTED"]:
                return answer["test_result_id"]
            if status and status < 500 and codes != ["SUBMISSION_IN_PROGRESS"]:
                raise AssertionError(f"refused: {status} {answer}")
            if time.monotonic() > deadline:
                raise AssertionError(f"not accepted within {ACCEPTED_SECONDS_MAX} s, the last answer being {status} {answer}")
            time.sleep(retry_after)

    def submit_all(self, branch, number):
        """Sends so many results of a branch, some at once, and returns their ids."""
        with ThreadPoolExecutor(AT_ONCE) as pool:
            return set(pool.map(lambda run: self.submit(body(branch, run)), range(number)))

    def history(self, branch):
        """The ids in the history of a branch."""
        ids, cursor = [], None
        while True:
            query = {"branch": branch, "limit": 200, **({"cursor": cursor} if cursor else {})}
            status, _, page = self._ask(f"/tests/results/{OWNER}/{REPO}?{urllib.parse.urlencode(query)}")
            assert status == 200, f"the history is answered with {status}: {page}"
            ids += [result["test_result_id"] for result in page["results"]]
            cursor = page.get("next_cursor")
            if not cursor:
                return ids

    def badge(self, branch):
        """The message of a badge of tests, which always has one."""
        return self._message(f"/badges/tests/linux/{OWNER}/{REPO}/{urllib.parse.quote(branch, safe='')}")

    def version(self, package):
        """The message of the badge of a NuGet package."""
        return self._message(f"/badges/packages/nuget/{package}")

    def _message(self, path):
        status, _, badge = self._ask(path)
        assert status == 200, f"a badge is answered with {status}"
        return badge["message"]

    def _ask(self, path, headers=None, content=None):
        """Status, seconds to wait and body; the status is none where no answer came."""
        request = urllib.request.Request(self.url + path, content, headers or {})
        try:
            with urllib.request.urlopen(request, timeout=35) as answer:
                return answer.status, 0, json.load(answer)
        except urllib.error.HTTPError as error:
            text = error.read()
            # What the gateway says itself, of a function that died, is not ours.
            answer = json.loads(text) if text.startswith(b"{") else {"text": text.decode(errors="replace")}
            return error.code, float(error.headers.get("Retry-After", 0.2)), answer
        except OSError as error:
            return None, 0.2, {"error": str(error)}
