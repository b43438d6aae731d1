"""A local AWS emulator, and a proxy between it and the functions that injects faults."""

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
    """Returns a free port. Another program may take it first, so a program that cannot bind it must fail."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


class Emulator:
    """The emulator and the proxy. They run as long as the `with` block."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.port, self.proxy_port = free_port(), free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        # Functions call the proxy. Tools and tests call the emulator.
        self.proxy_url = f"http://127.0.0.1:{self.proxy_port}"
        self.processes = []

    def __enter__(self):
        try:
            # Functions inherit the environment of the emulator, so it has only these variables.
            self._start("ministack", [], {
                "BIND_HOST": "127.0.0.1", "GATEWAY_PORT": str(self.port), "MINISTACK_HOST": "127.0.0.1",
                "MINISTACK_REGION": REGION, "STATE_DIR": str(self.folder), "LOG_LEVEL": "WARNING",
                "SFTP_ENABLED": "0", "IOT_MTLS_ENABLED": "0", "AWS_ENDPOINT_URL": self.proxy_url,
            })
            self._start("microburst", ["-u", self.url, "-p", str(self.proxy_port), "--host", "127.0.0.1"], {})
            self._wait(f"{self.url}/_ministack/health")
            self._wait(f"{self.proxy_url}/_microburst/rules")
            # The first request through the proxy takes seconds.
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
                # Kill the process group, because functions are children of the emulator.
                os.killpg(process.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
            process.wait()

    def client(self, service, endpoint=None):
        """Returns a client of an AWS service. By default, it bypasses the proxy."""
        return boto3.client(
            service, endpoint_url=endpoint or self.url, region_name=REGION,
            aws_access_key_id="test", aws_secret_access_key="test",
        )

    def environment(self):
        """Returns the variables with which tools call the emulator."""
        # Tools leave temporary folders behind. The caller removes this one with its content.
        return {**CREDENTIALS, "AWS_ENDPOINT_URL": self.url, "TMPDIR": str(self.folder)}

    def set_faults(self, *rules):
        """Replaces the rules by which the proxy makes calls of functions fail."""
        request = urllib.request.Request(
            f"{self.proxy_url}/_microburst/rules", json.dumps(rules).encode(), {"Content-Type": "application/json"}
        )
        urllib.request.urlopen(request, timeout=10).read()

    def failed_calls(self):
        """Returns the number of calls that the proxy has made fail."""
        with urllib.request.urlopen(f"{self.proxy_url}/_microburst/stats", timeout=10) as response:
            return json.load(response)["requests"]["faulted"]

    def processes_of(self, function):
        """Yields the process ids of a function."""
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
        """Yields the end of the logs of the emulator and of the proxy."""
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
                exited = [process.args[0] for process in self.processes if process.poll() is not None]
                if exited or time.monotonic() > deadline:
                    raise SystemExit(f"{url} does not respond; exited processes: {exited}\n" + "\n".join(self.logs())) from None
                time.sleep(0.1)
