"""A local HTTP server for releases of the program."""

import hashlib
import io
import tarfile
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.server.requests.append(self.path)
        content, failures = self.server.files.get(self.path), self.server.failures.get(self.path)
        status = failures.pop(0) if failures else 404 if content is None else 200
        self.send_response(status if status != "truncated" else 200)
        self.send_header("Content-Length", str(len(content or b"")))
        self.end_headers()
        if status == 200:
            self.wfile.write(content)

    def log_message(self, *_):
        pass


class Server(ThreadingHTTPServer):
    """Serves `files` by path. `failures` has the statuses, or "truncated", of the first responses for a path."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.files, self.failures, self.requests = {}, {}, []
        self.url = f"http://127.0.0.1:{self.server_port}"
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def __exit__(self, *_):
        self.shutdown()
        self.server_close()

    def release(self, version, name, program, folder=""):
        """Adds a release with the archive `NAME.tar.gz` and its checksum."""
        packed = io.BytesIO()
        with tarfile.open(fileobj=packed, mode="w:gz", compresslevel=1) as tar:
            entry = tarfile.TarInfo(f"{name}/badgesmith{'.exe' if 'windows' in name else ''}")
            entry.size, entry.mode = len(program), 0o755
            tar.addfile(entry, io.BytesIO(program))
        self.files[f"{folder}/v{version}/{name}.tar.gz"] = packed.getvalue()
        sums = f"{'0' * 64}  another.tar.gz\n{hashlib.sha256(packed.getvalue()).hexdigest()}  {name}.tar.gz\n"
        self.files[f"{folder}/v{version}/SHA256SUMS"] = sums.encode()
