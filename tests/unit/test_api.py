"""Baton's own client of the Prefect API: what it asks again, and what it says of a failure."""

import socket
import ssl
import subprocess
import sys
from threading import Thread

import certifi
import httpx
import pytest

from baton.cli import connection
from baton.errors import InputError
from baton.settings import Settings
from tasks.platform import api

ADDRESS = "http://prefect.test/api"


class _Server:
    """A server that gives these answers, one after the other; the last one again and again."""

    def __init__(self, *answers):
        self.answers, self.requests = list(answers), []

    def __call__(self, request):
        self.requests.append(request)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer if isinstance(answer, httpx.Response) else httpx.Response(answer)


def _client(server, waits=(0.0,) * 4, **access):
    transport = httpx.MockTransport(server)
    return api.Client(api.Access(ADDRESS, **access), waits=waits, transport=transport)


@pytest.fixture
def slept(monkeypatch):
    """Seconds that were waited, without waiting."""
    seconds = []
    monkeypatch.setattr(api.time, "sleep", seconds.append)
    return seconds


@pytest.mark.parametrize("code", [408, 429, 500, 502, 503, 504])
def test_a_server_that_may_answer_later_is_asked_again(code):
    """With the same request, until it answers."""
    server = _Server(code, code, httpx.Response(200, json=[1]))
    assert _client(server).post("flows/filter", {"a": 1}) == [1]
    assert {request.content for request in server.requests} == {b'{"a":1}'}
    assert [str(request.url) for request in server.requests] == [f"{ADDRESS}/flows/filter"] * 3


@pytest.mark.parametrize("kind", [httpx.ConnectError, httpx.ReadTimeout, httpx.RemoteProtocolError])
def test_a_connection_that_breaks_is_made_again(kind):
    """A server that starts again is not there for a while."""
    server = _Server(kind("gone"), httpx.Response(204))
    assert _client(server).post("/events", []) is None
    assert len(server.requests) == 2


@pytest.mark.parametrize("code", [301, 400, 401, 404, 405, 409, 422, 501])
def test_what_is_refused_is_not_asked_again(code):
    """One request, and one line with the status, the request and what the server said."""
    server = _Server(httpx.Response(code, json={"detail": "said\nso"}))
    with pytest.raises(api.RefusedError, match=rf"POST .*/events: {code} .*said") as error:
        _client(server).post("/events", [])
    assert len(server.requests) == 1
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("code", [401, 403])
def test_a_closed_door_is_said_with_what_opens_it(code):
    """The variables of the login."""
    with pytest.raises(api.RefusedError, match="PREFECT_API_AUTH_STRING or PREFECT_API_KEY"):
        _client(_Server(code)).post("/events", [])


def test_a_server_that_never_answers_is_given_up(slept):
    """After the last attempt, with the last reason."""
    server = _Server(503, httpx.ConnectError("nobody there"))
    with pytest.raises(api.UnavailableError, match="ConnectError: nobody there"):
        _client(server, waits=(1.0, 2.0)).post("/events", [])
    assert len(server.requests) == 3
    assert slept == [1.0, 2.0]


@pytest.mark.parametrize(
    ("asked", "waited"),
    [("7", 7.0), ("0", 1.0), ("3600", 60.0), ("soon", 1.0), ("Thu, 01 Jan 2026 00:00:00 GMT", 1.0)],
)
def test_a_server_may_say_how_long_to_wait(slept, asked, waited):
    """At least as long as planned, at most a minute."""
    busy = httpx.Response(429, headers={"Retry-After": asked})
    _client(_Server(busy, 204), waits=(1.0,)).post("/events", [])
    assert slept == [waited]


def test_what_is_not_there_is_nothing():
    """For what is looked for by its name."""
    assert _client(_Server(404)).find("deployments/name/a/b") is None
    assert _client(_Server(httpx.Response(200, json={"id": "1"}))).find("x") == {"id": "1"}


def test_a_page_in_place_of_an_answer_is_refused():
    """An address that misses /api leads to Prefect's pages."""
    with pytest.raises(api.RefusedError, match="not JSON"):
        _client(_Server(httpx.Response(200, text="<html>"))).post("flows/filter", {})


@pytest.mark.parametrize(
    ("access", "header"),
    [
        ({"auth_string": "me:secret"}, "Basic bWU6c2VjcmV0"),
        ({"key": "pnu_1"}, "Bearer pnu_1"),
        ({"auth_string": "me:secret", "key": "pnu_1"}, "Basic bWU6c2VjcmV0"),
        ({}, None),
    ],
)
def test_a_login_is_sent_as_prefects_own_client_sends_it(access, header):
    """And shows in no representation."""
    server = _Server(204)
    client = _client(server, **access)
    client.post("/events", [])
    assert server.requests[0].headers.get("Authorization") == header
    assert "secret" not in repr(client)
    assert "pnu_1" not in repr(client)


def test_a_server_that_asks_for_a_token_is_given_one():
    """CSRF protection: the token is fetched once and sent from then on."""
    token = httpx.Response(200, json={"token": "t", "client": "c", "expiration": "2027-01-01"})
    server = _Server(403, token, 204, 204)
    client = _client(server)
    client.post("/events", [])
    client.post("/events", [])
    assert [request.method for request in server.requests] == ["POST", "GET", "POST", "POST"]
    name = server.requests[1].url.params["client"]
    for request in server.requests[2:]:
        assert request.headers["Prefect-Csrf-Token"] == "t"
        assert request.headers["Prefect-Csrf-Client"] == name


def test_health_is_asked_once():
    """Whoever waits for a server asks again by himself."""
    for answer, healthy in ((200, True), (503, False), (httpx.ConnectError("no"), False)):
        server = _Server(answer)
        assert _client(server).is_healthy() is healthy
        assert len(server.requests) == 1


def test_a_server_that_stands_still_for_a_while_is_there(monkeypatch):
    """It is asked once more, and given the time; where nobody listens there is none at once."""
    monkeypatch.setattr(connection, "_SECONDS_OF_SILENCE", 20.0)
    with socket.create_server(("127.0.0.1", 0)) as place:
        address = f"http://127.0.0.1:{place.getsockname()[1]}/api"

        def answer_late():
            first, _ = place.accept()
            second, _ = place.accept()  # whoever asked has given the first one up
            second.recv(4096)
            second.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\ntrue")
            first.close(), second.close()

        late = Thread(target=answer_late)
        late.start()
        assert connection._given(address).prefect == address
        late.join()
    with pytest.raises(InputError, match="no Prefect server answers"):
        connection._given(address)


def test_certificates_are_looked_at_where_there_is_tls(monkeypatch):
    """By a file of one's own, or not at all, as Prefect's variables say."""
    assert api.Access(ADDRESS).verify is False
    secure = ADDRESS.replace("http:", "https:")
    assert api.Access(secure).verify is True
    monkeypatch.setenv("PREFECT_API_SSL_CERT_FILE", certifi.where())
    own = api.Access.of(Settings(), secure).verify
    assert own.verify_mode is ssl.CERT_REQUIRED
    assert own.get_ca_certs()
    monkeypatch.setenv("PREFECT_API_TLS_INSECURE_SKIP_VERIFY", "true")
    assert api.Access.of(Settings(), secure).verify is False


def test_the_command_starts_without_prefect():
    """Neither the client nor the command imports it, nor what reads tables."""
    code = "import sys, baton.cli; print(sorted(set(sys.argv[1:]) & set(sys.modules)))"
    heavy = ["prefect", "mlflow", "pandas", "pyarrow"]
    done = subprocess.run(
        [sys.executable, "-c", code, *heavy], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("url", "expected"),
    [("http://s/api/flow_runs/1", True), ("http://elsewhere/table.csv", False)],
)
def test_a_server_that_is_away_is_told_from_another_that_is(url, expected):
    """By whom was asked, whoever asked, and also where the error led to another one."""
    away = httpx.ConnectError("refused", request=httpx.Request("GET", url))
    later = RuntimeError("not acknowledged")
    later.__context__ = away
    assert api.is_out_of_reach(away, "http://s/api") is expected
    assert api.is_out_of_reach(later, "http://s/api/") is expected
    assert api.is_out_of_reach(api.UnavailableError("GET"), "http://s/api")
    assert not api.is_out_of_reach(ValueError("x"), "http://s/api")
    assert not api.is_out_of_reach(httpx.ConnectError("nobody knows where"), "http://s/api")


@pytest.mark.parametrize(("status", "expected"), [(500, True), (503, True), (404, False)])
def test_a_failure_of_the_servers_own_is_told_from_a_refusal(status, expected):
    """Where its disk is full it answers 500: no run of a chain is at fault for that."""
    request = httpx.Request("POST", "http://s/api/flow_runs/1/set_state")
    error = httpx.HTTPStatusError("x", request=request, response=httpx.Response(status))
    assert api.is_out_of_reach(error, "http://s/api") is expected


def test_what_is_changed_or_deleted_is_seen_to(slept):
    """A refusal is an error; what is gone already need not be deleted."""
    for do in (
        lambda c: c.put("a/1", {}),
        lambda c: c.change("a/1", {}),
        lambda c: c.delete("a/1"),
    ):
        assert do(_client(_Server(503, 204))) is None
        with pytest.raises(api.RefusedError, match="422"):
            do(_client(_Server(422)))
    _client(_Server(404)).delete("a/1")
    with pytest.raises(api.RefusedError, match="404"):
        _client(_Server(404)).change("a/1", {})
