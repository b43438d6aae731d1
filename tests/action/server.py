"""Releases of the program, and the service that it posts to, on one port of this machine."""

import hashlib
import hmac
import io
import json
import tarfile
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


def archive(name, binary):
    """`NAME.tar.gz` as the release workflow makes it."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz", compresslevel=1) as tar:
        for file, content, mode in (
            ("LICENSE", b"MIT\n", 0o644), ("badgesmith.exe" if "windows" in name else "badgesmith", binary, 0o755),
        ):
            entry = tarfile.TarInfo(f"{name}/{file}")
            entry.size, entry.mode = len(content), mode
            tar.addfile(entry, io.BytesIO(content))
    return packed.getvalue()


class Server:
    """Whatever was asked for is in `requests`; `faults` has what a path answers before it behaves."""

    def __init__(self):
        server = self
        self.files, self.faults, self.requests, self.posts = {}, {}, [], []
        self.key, self.post_status = None, 202

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def answer(self, status, content=b"", length=None):
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(content) if length is None else length))
                self.send_header("Connection", "close")
                self.end_headers()
                self.wfile.write(content)
                self.close_connection = True

            def do_GET(self):
                server.requests.append(self.path)
                content, faults = server.files.get(self.path), server.faults.get(self.path)
                fault = faults.pop(0) if faults else None
                if fault == "hang up":
                    self.close_connection = True
                elif fault == "cut off":
                    self.answer(200, content[: len(content) // 2], len(content))
                elif fault:
                    self.answer(fault)
                else:
                    self.answer(*((200, content) if content is not None else (404, b"Not Found")))

            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                signature = "sha256=" + hmac.new(server.key.encode(), body, hashlib.sha256).hexdigest()
                status = server.post_status if self.headers["X-Signature"] == signature else 401
                server.posts.append(json.loads(body))
                if status == 202:
                    answer = {"test_result_id": "0198c0de", "repository": "acme/kit",
                              "timestamp": "2026-01-01T00:00:00Z", "status": "queued"}
                else:
                    flaw = {"error_code": "UNAUTHORIZED", "property_name": "X-Signature"}
                    answer = {"message": "the signature is wrong", "error_details": [flaw]}
                self.answer(status, json.dumps(answer).encode())

            def log_message(self, *_):
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_port}"
        threading.Thread(target=self.http.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def close(self):
        self.http.shutdown()
        self.http.server_close()

    def release(self, version, binary, *names, folder=""):
        """Publishes archives of this program. All have the same, which runs here."""
        archives = {f"{name}.tar.gz": archive(name, binary) for name in names}
        # The release has more than the program.
        archives["badgesmith-local-linux-x86_64.tar.gz"] = b"another program"
        sums = [f"{hashlib.sha256(content).hexdigest()}  {name}\n" for name, content in archives.items()]
        for name, content in {**archives, "SHA256SUMS": "".join(sums).encode()}.items():
            self.files[f"{folder}/v{version}/{name}"] = content
