"""A receiver of messages: an HTTP server that keeps what Apprise's `json://` posts to it."""

import json
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer

TOKEN = "Pl4nted-t0ken"
"""Part of its address that nobody else is to know."""


class _Receiving(BaseHTTPRequestHandler):
    def do_POST(self):
        content = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        assert self.path == f"/{TOKEN}"
        self.server.messages.append(content["title"] + content["message"])
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_):
        """Say nothing."""


@contextmanager
def receiver():
    """A receiver on a free port; its ``address`` is Apprise's, ``messages`` what came."""
    server = HTTPServer(("127.0.0.1", 0), _Receiving)
    server.messages, server.address = [], f"json://127.0.0.1:{server.server_port}/{TOKEN}"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
