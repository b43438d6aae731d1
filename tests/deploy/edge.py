"""A proxy with one address for a deployed stack, in place of its CDN."""

import contextlib
import http.client
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

CONNECTION_HEADERS = {"host", "connection", "keep-alive", "transfer-encoding", "content-length"}


class Edge(ThreadingHTTPServer):
    """A proxy to the emulator's CDN, which expects the host of the distribution and HTTPS.

    The emulator's CDN cannot reach an HTTP API, and the emulator answers `/health` itself at every host. So these paths
    go to the origins that the template names for them.
    """

    daemon_threads = True
    request_queue_size = 64

    def __init__(self, port, emulator_port, distribution, api, function_url):
        super().__init__(("127.0.0.1", port), Handler)
        self.emulator_port, self.distribution = emulator_port, distribution
        self.api_path = f"/_aws/execute-api/{api}/$default"
        self.function_path = f"/_aws/lambda-url/{function_url}"
        self.url = f"http://127.0.0.1:{port}"
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def request(self, method, path, headers=(), body=b"", host=None):
        """Sends a request to the emulator, by default as a viewer of the distribution."""
        connection = http.client.HTTPConnection("127.0.0.1", self.emulator_port, timeout=35)
        try:
            connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
            connection.putheader("Host", host or self.distribution)
            connection.putheader("X-Forwarded-Proto", "https")
            connection.putheader("Content-Length", str(len(body)))
            for name, value in headers:
                connection.putheader(name, value)
            connection.endheaders(body)
            response = connection.getresponse()
            return response.status, response.getheaders(), response.read()
        finally:
            connection.close()

    def forward(self, method, path, headers, body):
        if path.startswith("/tests/results"):
            return self.request(method, self.api_path + path, headers, body, host="127.0.0.1")
        if path == "/health":
            return self.request(method, self.function_path + path, headers, body, host="127.0.0.1")
        return self.request(method, path, headers, body)


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def forward(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        headers = [(name, value) for name, value in self.headers.items() if name.lower() not in CONNECTION_HEADERS]
        try:
            status, headers, content = self.server.forward(self.command, self.path, headers, body)
        except (OSError, http.client.HTTPException):
            status, headers, content = 502, [], b""
        self.send_response_only(status)
        for name, value in headers:
            if name.lower() not in CONNECTION_HEADERS:
                self.send_header(name, value)
        if status not in (204, 304):
            self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        # A browser closes the connections of a page that it leaves.
        with contextlib.suppress(ConnectionError):
            self.wfile.write(content)

    do_GET = do_HEAD = do_OPTIONS = do_POST = do_PUT = do_PATCH = do_DELETE = forward

    def log_message(self, *_):
        pass
