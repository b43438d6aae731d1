"""An emulator of AWS on this machine, with a proxy between the functions and it that can make calls fail."""

import json
import os
import signal
import socket
import subprocess
import time
import urllib.request
from pathlib import Path

import boto3

REGION = "eu-west-1"
CREDENTIALS = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_DEFAULT_REGION": REGION}
START_SECONDS_MAX = 60


def free_port():
    """A port that nobody listens at now. Whoever takes it first has it; so a program that finds it taken must fail."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


class Emulator:
    """The emulator and the proxy, from `with` until its end."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.port, self.proxy_port = free_port(), free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        # What functions call. Tools and tests call the emulator itself, as one looks on from outside.
        self.proxy_url = f"http://127.0.0.1:{self.proxy_port}"
        self.processes = []

    def __enter__(self):
        try:
            # Functions inherit the emulator's environment, so it is made from nothing.
            self._start("ministack", [], {
                "BIND_HOST": "127.0.0.1", "GATEWAY_PORT": str(self.port), "MINISTACK_HOST": "127.0.0.1",
                "MINISTACK_REGION": REGION, "STATE_DIR": str(self.folder), "LOG_LEVEL": "WARNING",
                "SFTP_ENABLED": "0", "IOT_MTLS_ENABLED": "0", "AWS_ENDPOINT_URL": self.proxy_url,
            })
            self._start("microburst", ["-u", self.url, "-p", str(self.proxy_port), "--host", "127.0.0.1"], {})
            self._wait(f"{self.url}/_ministack/health")
            self._wait(f"{self.proxy_url}/_microburst/rules")
            # Its first request takes seconds.
            self.client("sqs", endpoint=self.proxy_url).list_queues()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        for process in reversed(self.processes):
            process.terminate()
        time.sleep(0.5)
        for process in self.processes:
            try:
                # The group: functions are children of the emulator.
                os.killpg(process.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
            process.wait()

    def client(self, service, endpoint=None):
        """A client of one service of AWS, past the proxy unless told otherwise."""
        return boto3.client(
            service, endpoint_url=endpoint or self.url, region_name=REGION,
            aws_access_key_id="test", aws_secret_access_key="test",
        )

    def environment(self):
        """Where tools find it."""
        # Tools forget temporary folders; this one is removed with all that is in it.
        return {**CREDENTIALS, "AWS_ENDPOINT_URL": self.url, "TMPDIR": str(self.folder)}

    def let_fail(self, *rules):
        """Makes calls of functions fail as `rules` say; without any, none fails."""
        request = urllib.request.Request(
            f"{self.proxy_url}/_microburst/rules", json.dumps(rules).encode(), {"Content-Type": "application/json"}
        )
        urllib.request.urlopen(request, timeout=10).read()

    def failed(self):
        """How many calls the proxy has made fail."""
        with urllib.request.urlopen(f"{self.proxy_url}/_microburst/stats", timeout=10) as answer:
            return json.load(answer)["requests"]["faulted"]

    def processes_of(self, function):
        """The processes of a function."""
        name = f"AWS_LAMBDA_FUNCTION_NAME={function}".encode()
        for process in filter(str.isdigit, os.listdir("/proc")):
            try:
                parent = int(Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()[1])
                environment = Path(f"/proc/{process}/environ").read_bytes().split(b"\0")
            except OSError:
                continue
            if parent == self.processes[0].pid and name in environment:
                yield int(process)

    def logs(self):
        """What the emulator and the proxy had to say."""
        for file in sorted(self.folder.glob("*.log")):
            yield f"--- {file.name}\n{file.read_text(errors='replace')[-4000:]}"

    def _start(self, program, arguments, environment):
        path = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
        self.processes.append(subprocess.Popen(
            [program, *arguments], env={**path, "TMPDIR": str(self.folder), **environment}, start_new_session=True,
            stdin=subprocess.DEVNULL, stdout=(self.folder / f"{program}.log").open("w"), stderr=subprocess.STDOUT,
        ))

    def _wait(self, url):
        deadline = time.monotonic() + START_SECONDS_MAX
        while True:
            try:
                urllib.request.urlopen(url, timeout=5).read()
                return
            except OSError:
                ended = [process.args[0] for process in self.processes if process.poll() is not None]
                if ended or time.monotonic() > deadline:
                    raise SystemExit(f"{url} does not answer; ended: {ended}\n" + "\n".join(self.logs())) from None
                time.sleep(0.1)
