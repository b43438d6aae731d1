"""A client that sends the same bytes until the service accepts them."""

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
CONCURRENT_MAX = 8


class Client:
    """A client of the service at `url` with the key of a repository."""

    def __init__(self, url, key, repository=f"{OWNER}/{REPO}"):
        self.url, self.key, self.repository = url, key, repository

    def body(self, branch, run_id):
        """The body of a result with 190 passed tests. If `branch` is `None`, the path must have the branch."""
        owner, repo = self.repository.split("/")
        now = datetime.now(timezone.utc).isoformat()
        return json.dumps({
            "owner": owner, "repo": repo, "platform": "linux", **({"branch": branch} if branch else {}), "run_id": str(run_id),
            "passed": 190, "failed": 0, "skipped": 0, "total": 190, "timestamp": now, "nonce": str(uuid.uuid4()),
        }).encode()

    def headers(self, content):
        """The headers of a submission, with its signature."""
        signature = hmac.new(self.key.encode(), content, hashlib.sha256).hexdigest()
        return {"Content-Type": "application/json", "X-Repo-Secret": self.repository, "X-Signature": f"sha256={signature}"}

    def submit(self, content):
        """Sends a result until the service accepts it, and returns its id."""
        deadline = time.monotonic() + ACCEPTED_SECONDS_MAX
        while True:
            status, retry_after, response = self.request("/tests/results", self.headers(content), content)
            codes = [detail["error_code"] for detail in response.get("error_details", [])]
            if status == 202 or codes == ["ALREADY_ACCEPTED"]:
                return response["test_result_id"]
            if status and status < 500 and codes != ["SUBMISSION_IN_PROGRESS"]:
                raise AssertionError(f"rejected: {status} {response}")
            if time.monotonic() > deadline:
                raise AssertionError(f"not accepted within {ACCEPTED_SECONDS_MAX} s; the last response is {status} {response}")
            time.sleep(retry_after)

    def submit_all(self, branch, number):
        """Sends `number` results of a branch concurrently, and returns their ids."""
        with ThreadPoolExecutor(CONCURRENT_MAX) as pool:
            return set(pool.map(lambda run: self.submit(self.body(branch, run)), range(number)))

    def history(self, branch):
        """The ids in the history of a branch."""
        return [result["test_result_id"] for result in self.results({"branch": branch})]

    def results(self, query):
        """The results in the history that match a query."""
        results, cursor = [], None
        while True:
            page_query = {**query, "limit": 200, **({"cursor": cursor} if cursor else {})}
            status, _, page = self.request(f"/tests/results/{self.repository}?{urllib.parse.urlencode(page_query)}")
            assert status == 200, f"expected status 200 for the history, got {status}: {page}"
            results += page["results"]
            cursor = page.get("next_cursor")
            if not cursor:
                return results

    def badge(self, branch):
        """The message of the test badge of a branch; `None` if the function crashed."""
        return self.badge_and_status(branch)[0]

    def badge_and_status(self, branch):
        return self._message(f"/badges/tests/linux/{self.repository}?{urllib.parse.urlencode({'branch': branch})}")

    def version(self, package):
        """The message of the badge of a NuGet package."""
        return self._message(f"/badges/packages/nuget/{package}")[0]

    def _message(self, path):
        status, _, badge = self.request(path)
        assert status == 200 or status is None or status >= 500, f"unexpected response to {path}: {status} {badge}"
        return badge.get("message"), status

    def request(self, path, headers=None, content=None):
        """Sends a request. Returns the status, `None` without a response, the seconds until a retry, and the body."""
        request = urllib.request.Request(self.url + path, content, headers or {})
        try:
            with urllib.request.urlopen(request, timeout=35) as response:
                return response.status, 0, json.load(response)
        except urllib.error.HTTPError as error:
            text = error.read()
            # If a function crashes, the gateway responds itself, and the body may not be JSON.
            body = json.loads(text) if text.startswith(b"{") else {"text": text.decode(errors="replace")}
            return error.code, float(error.headers.get("Retry-After", 0.2)), body
        except OSError as error:
            return None, 0.2, {"error": str(error)}
