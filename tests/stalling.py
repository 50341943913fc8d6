"""A server in front of another one, that lets so many writes through and then holds its breath."""

import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

import httpx


class _Passing(BaseHTTPRequestHandler):
    def _pass(self):
        content = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.command != "GET" and not self.path.endswith("/filter"):
            self.server.writes += 1
            if self.server.writes > self.server.most:
                self.server.is_stalled.set()
                self.server.is_over.wait()
                return
        head = {key: value for key, value in self.headers.items() if key != "Host"}
        url = f"{self.server.behind}{self.path}"
        answer = httpx.request(self.command, url, content=content, headers=head, timeout=60)
        self.send_response(answer.status_code)
        self.send_header("Content-Type", answer.headers.get("Content-Type", "text/plain"))
        self.send_header("Content-Length", str(len(answer.content)))
        self.end_headers()
        self.wfile.write(answer.content)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _pass  # noqa: N815

    def log_message(self, *_):
        """Say nothing."""


@contextmanager
def stalling(api, writes):
    """The address ``api`` of a server that answers as another one does until it has written enough.

    ``is_stalled`` is set as soon as it answers no more.
    """
    there = urlsplit(api)
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Passing)
    server.behind, server.api = (
        f"{there.scheme}://{there.netloc}",
        f"http://127.0.0.1:{server.server_port}{there.path}",
    )
    server.most, server.writes = writes, 0
    server.is_stalled, server.is_over = threading.Event(), threading.Event()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server
    finally:
        server.is_over.set()
        server.shutdown()
        server.server_close()
