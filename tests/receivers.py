"""Receivers: HTTP servers that keep what is posted to them."""

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


class _Listening(BaseHTTPRequestHandler):
    def do_POST(self):
        content = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        asked = (self.path, self.headers.get("Authorization"))
        self.server.messages.append((*asked, content))
        self.send_response(201)
        self.end_headers()

    def log_message(self, *_):
        """Say nothing."""


def receiver():
    """A receiver of what Apprise's `json://` posts: ``messages`` is what came."""
    return _serving(_Receiving, f"json://127.0.0.1:{{}}/{TOKEN}")


def listener():
    """A receiver of JSON: ``messages`` is path, authorization and content of what came."""
    return _serving(_Listening, "http://127.0.0.1:{}")


@contextmanager
def _serving(handler, address):
    """A server on a free port, which its ``address`` says."""
    server = HTTPServer(("127.0.0.1", 0), handler)
    server.messages, server.address = [], address.format(server.server_port)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
