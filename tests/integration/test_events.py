"""Announcing: acknowledged, or the stage fails."""

import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from prefect.settings import PREFECT_API_AUTH_STRING, PREFECT_API_URL, temporary_settings

from baton.chain.events import DatasetReady
from tasks.platform import events
from tests.unit.test_contracts import READY


class _Flaky(BaseHTTPRequestHandler):
    """A server that fails the first requests and then acknowledges."""

    def do_POST(self):
        content = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.bodies.append(content)
        self.server.logins.append(self.headers["Authorization"])
        code = 204 if len(self.server.bodies) > self.server.failures else self.server.code
        self.send_response(code)
        self.end_headers()

    def do_GET(self):
        """Say, as an old server does, that there are no CSRF tokens."""
        self.send_response(404)
        self.end_headers()

    def log_message(self, *_):
        """Say nothing."""


@pytest.fixture
def server():
    """A server of this test's own on a free port."""
    found = HTTPServer(("127.0.0.1", 0), _Flaky)
    found.bodies, found.logins = [], []
    found.failures, found.code = 0, 500
    threading.Thread(target=found.serve_forever, daemon=True).start()
    with temporary_settings({PREFECT_API_URL: f"http://127.0.0.1:{found.server_port}/api"}):
        yield found
    found.shutdown()


@pytest.fixture(autouse=True)
def _impatient(monkeypatch):
    monkeypatch.setattr(events, "_WAITS", [0.01] * 3)


def test_an_event_is_delivered_again_until_it_is_acknowledged(server):
    """Two failures, then the acknowledgement; every delivery is the same event."""
    server.failures = 2
    events.deliver({"id": "1", "event": "baton.dataset.ready"})
    assert len(server.bodies) == 3
    assert len(set(server.bodies)) == 1


def test_an_event_that_nobody_acknowledges_is_an_error(server):
    """The stage must not end Completed when its event is lost."""
    server.failures = 99
    with pytest.raises(RuntimeError, match="not acknowledged"):
        events.deliver({"id": "1", "event": "baton.dataset.ready"})


@pytest.mark.parametrize("code", [401, 404, 422])
def test_an_event_that_is_refused_fails_at_once(server, code):
    """The same event would be refused again: one attempt, and one line with the reason."""
    server.failures, server.code = 99, code
    with pytest.raises(RuntimeError, match=f"not acknowledged by the server: .*{code}"):
        events.deliver({"id": "1", "event": "baton.dataset.ready"})
    assert len(server.bodies) == 1


def test_an_event_is_sent_with_the_login_of_prefects_settings(server):
    """Also one that a profile keeps: the environment need not have it."""
    with temporary_settings({PREFECT_API_AUTH_STRING: "me:secret"}):
        events.deliver({"id": "1", "event": "baton.dataset.ready"})
    assert server.logins == ["Basic bWU6c2VjcmV0"]


def test_the_id_of_an_event_follows_from_what_it_is():
    """The same attempt of the same run has the same id; a later attempt has another."""
    event = DatasetReady.model_validate(READY)
    other = event.model_copy(update={"n_train": 7})
    ids = [
        events.event_id(event, "run", 1),
        events.event_id(event, "run", 1),
        events.event_id(event, "run", 2),
        events.event_id(event, "other", 1),
        events.event_id(other, "run", 1),
    ]
    assert ids[0] == ids[1]
    assert len(set(ids)) == 4
