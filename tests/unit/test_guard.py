"""The guard before the pages: who is let in, by what, and what is said to everybody else."""

import asyncio
import base64
import json

import pytest

from baton.settings import Settings
from serving.guard import Guard, link, new_secret

PORT = 4321
OWN = f"127.0.0.1:{PORT}"
SECRET = "baton:the-same-in-every-process-that-collects-tests"
BASIC = f"Basic {base64.b64encode(SECRET.encode()).decode()}"
PREFECT = ("sec-websocket-protocol", "prefect")


def _ask(scope, received=(), names=frozenset()):
    """What comes back, and what the application was asked and given."""
    sent, seen = [], []
    waiting = list(received)

    async def app(scope, receive, send):
        seen.append(scope["path"])
        if scope["type"] == "http":
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b"secret page"})
            return
        await send({"type": "websocket.accept"})
        await send({"type": "websocket.send", "text": "early"})
        while (message := await receive())["type"] != "websocket.disconnect":
            seen.append(message)
        await send({"type": "websocket.close", "code": 1000})

    async def receive():
        return waiting.pop(0) if waiting else {"type": "websocket.disconnect", "code": 1000}

    async def send(message):
        sent.append(message)

    asyncio.run(Guard(app, SECRET, PORT, names=names)(scope, receive, send))
    return sent, seen


def _scope(kind, headers, path="/api/flows", query="", method="GET"):
    pairs = [(name.encode(), value.encode()) for name, value in headers]
    scope = {"type": kind, "path": path, "query_string": query.encode(), "headers": pairs}
    return scope | ({"method": method} if kind == "http" else {})


def _http(*headers, host=OWN, **request):
    sent, seen = _ask(_scope("http", [("host", host), *headers], **request))
    status = sent[0]["status"]
    assert (status == 200) == bool(seen), "the application is asked if and only if one is let in"
    return status, {name.decode(): value.decode() for name, value in sent[0]["headers"]}


def _websocket(*headers, host=OWN, received=()):
    return _ask(_scope("websocket", [("host", host), *headers]), received)


def _cookie():
    _, headers = _http(path="/", query=link("/", SECRET).partition("?")[2])
    return ("cookie", headers["set-cookie"].partition(";")[0])


def test_a_secret_is_new_each_time():
    """Nobody guesses it, and the last one is of no use."""
    assert new_secret() != new_secret()
    assert len(new_secret()) > 40


def test_a_guard_without_a_secret_is_refused():
    """An empty secret would be anybody's."""
    with pytest.raises(ValueError, match="secret"):
        Guard(None, "", PORT)


def test_the_secret_lets_in():
    """Basic authorization, as Prefect's clients send it."""
    assert _http(("authorization", BASIC))[0] == 200
    assert _http(("authorization", BASIC.replace("Basic", "basic")))[0] == 200
    assert _http(("authorization", BASIC), host=f"localhost:{PORT}")[0] == 200


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
@pytest.mark.parametrize(
    "headers",
    [
        [],
        [("authorization", "")],
        [("authorization", "Basic")],
        [("authorization", "Basic !!!")],
        [("authorization", BASIC[:-4])],
        [("authorization", BASIC.replace("Basic", "Bearer"))],
        [("authorization", SECRET)],
        [("authorization", "Basic " + base64.b64encode(b"baton:").decode())],
        [("authorization", BASIC), ("authorization", BASIC)],
        [("cookie", "")],
        [("cookie", f"baton-{PORT}=")],
        [("cookie", f"baton-{PORT}={SECRET}")],
        [("cookie", f"baton-{PORT}=é; ;;=; x")],
    ],
)
def test_nobody_else_is_let_in(method, headers):
    """Without the secret, or with something like it, nothing is answered."""
    status, answered = _http(*headers, method=method)
    assert status == 401
    assert "www-authenticate" not in answered, "a browser would send what it asks for everywhere"
    assert "access-control-allow-origin" not in answered


@pytest.mark.parametrize(
    "host",
    ["evil.example", f"evil.example:{PORT}", "127.0.0.1", "127.0.0.1:1", "", f"{OWN}.evil.example"],
)
def test_another_host_is_refused_whoever_asks(host):
    """A name that somebody else points here (DNS rebinding) is no name of ours."""
    assert _http(("authorization", BASIC), host=host)[0] == 403
    assert _http(_cookie(), host=host)[0] == 403
    sent, seen = _websocket(("authorization", BASIC), host=host)
    assert (sent[0]["type"], seen) == ("websocket.close", [])


@pytest.mark.parametrize(
    ("host", "status"),
    [("answers:8100", 200), (OWN, 200), ("answers:80", 403), ("answers", 403), ("evil:8100", 403)],
)
def test_a_name_that_it_is_told_to_have_is_its_own(host, status):
    """BATON_ALLOWED_HOSTS: a service of a cluster, with its port, and no other."""
    scope = _scope("http", [("host", host), ("authorization", BASIC), ("accept", "text/html")])
    sent, _ = _ask(scope, names=Settings(allowed_hosts=" answers:8100 ,,x:1").allowed)
    assert sent[0]["status"] == status


def test_no_host_or_two_are_refused():
    """What is not said once is not known."""
    assert _ask(_scope("http", [("authorization", BASIC)]))[0][0]["status"] == 403
    assert _http(("authorization", BASIC), ("host", OWN))[0] == 403


@pytest.mark.parametrize(
    "origin",
    [
        "https://evil.example",
        "null",
        "",
        f"https://{OWN}",
        "http://127.0.0.1",
        f"http://{OWN}1",
        f"http://localhost:{PORT}",
        "http://127.0.0.1:9999",
        f"http://{OWN}.evil.example",
    ],
)
def test_another_origin_is_refused_whoever_asks(origin):
    """A page from elsewhere gets nothing, also where the browser would send the cookie along."""
    for method in ("GET", "POST", "OPTIONS", "PATCH"):
        assert _http(("authorization", BASIC), ("origin", origin), method=method)[0] == 403
        assert _http(_cookie(), ("origin", origin), method=method)[0] == 403
    for who in (("authorization", BASIC), _cookie(), PREFECT):
        sent, seen = _websocket(who, ("origin", origin))
        assert ([m["type"] for m in sent], seen) == (["websocket.close"], [])


def test_the_own_origin_is_let_in():
    """The page's own requests name it."""
    assert _http(_cookie(), ("origin", f"http://{OWN}"), method="POST")[0] == 200


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_what_a_page_from_elsewhere_loads_is_refused(site):
    """A picture, a script, a frame or a form carries no origin at times; the browser tells more.

    Another port of this machine is the same site: its pages have the cookie.
    """
    came = ("sec-fetch-site", site)
    assert _http(_cookie(), came, ("sec-fetch-mode", "no-cors"))[0] == 403
    to_a_page = [came, ("sec-fetch-mode", "navigate")]
    assert _http(_cookie(), *to_a_page, ("sec-fetch-dest", "iframe"))[0] == 403
    assert _http(_cookie(), *to_a_page, ("sec-fetch-dest", "document"), method="POST")[0] == 403
    assert _http(_cookie(), *to_a_page, ("sec-fetch-dest", "document"))[0] == 200, "a link"


def test_the_link_logs_in():
    """It sets a cookie that only this site's own pages send, and leads to the page without it."""
    page = link("/runs/flow-run/1?tab=Logs", SECRET)
    path, _, query = page.partition("?")
    status, headers = _http(path=path, query=query)
    assert status == 303
    assert headers["location"] == "/runs/flow-run/1?tab=Logs"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["cache-control"] == "no-store"
    name, _, rest = headers["set-cookie"].partition("=")
    assert name == f"baton-{PORT}"
    assert rest.split("; ")[1:] == ["HttpOnly", "SameSite=Strict", "Path=/"]
    assert _http(("cookie", f"other=1; {headers['set-cookie'].partition(';')[0]}; x"))[0] == 200


def test_a_link_that_a_file_holds_is_led_on_by_a_page():
    """A browser follows a redirect from elsewhere without the cookie; from a page it sends it."""
    page = link("/chains?before=1", SECRET)
    path, _, query = page.partition("?")
    came = [("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "navigate")]
    to_a_page = [("host", OWN), *came, ("sec-fetch-dest", "document")]
    sent, seen = _ask(_scope("http", to_a_page, path=path, query=query))
    headers = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
    assert (seen, sent[0]["status"]) == ([], 200)
    assert headers["refresh"] == "0; url=/chains?before=1"
    assert headers["set-cookie"].startswith(f"baton-{PORT}=")
    assert "location" not in headers
    assert _http(*came, ("sec-fetch-dest", "iframe"), path=path, query=query)[0] == 403


def test_a_link_keeps_the_place_on_the_page():
    """What follows # is the browser's own; the token stands before it."""
    before, _, after = link("http://127.0.0.1:1/#/experiments", SECRET).partition("#")
    assert "?token=" in before
    assert after == "/experiments"


def test_the_location_stays_on_this_server():
    """A path that a browser takes for another host's leads to no other host."""
    query = link("/", SECRET).partition("?")[2]
    for path in ("//evil.example/x", "/\\evil.example", "///evil.example"):
        status, headers = _http(path=path, query=query)
        assert status == 303
        assert headers["location"].lstrip("/").startswith(("evil", "%5C"))
        assert not headers["location"].startswith(("//", "/\\"))
    assert _http(path="/a\r\nb", query=query)[1]["location"] == "/a%0D%0Ab"


def test_a_wrong_token_logs_nobody_in():
    """Neither another start's, nor the secret itself, nor an empty one."""
    for page in (link("/", new_secret()), "/?token=", f"/?token={SECRET}", "/?token=a&token=b"):
        status, headers = _http(path="/", query=page.partition("?")[2])
        assert status == 401
        assert "set-cookie" not in headers


def test_the_secret_is_in_neither_link_nor_cookie():
    """What a browser's history keeps is not what the API takes."""
    assert SECRET.partition(":")[2] not in link("/", SECRET)
    assert SECRET.partition(":")[2] not in _cookie()[1]


def test_a_page_by_the_other_name_leads_to_the_one_with_the_cookie():
    """Prefect's page asks its API at 127.0.0.1, so that is where it is read."""
    page = ("accept", "text/html,*/*")
    query = link("/runs", SECRET).partition("?")[2]
    status, headers = _http(page, host=f"localhost:{PORT}", path="/runs", query=query)
    assert status == 307
    assert headers["location"] == f"http://{OWN}/runs?{query}"


def test_a_websocket_is_let_in_by_secret_or_cookie():
    """Prefect's clients send the one, its pages the other."""
    message = {"type": "websocket.receive", "text": "hello"}
    for who in (("authorization", BASIC), _cookie()):
        sent, seen = _websocket(who, received=[message])
        assert message in seen
        assert {"type": "websocket.send", "text": "early"} in sent


def test_a_websocket_is_let_in_by_its_first_message():
    """Prefect's clients that listen say who they are after the handshake."""
    first = {"type": "websocket.receive", "text": json.dumps({"type": "auth", "token": SECRET})}
    then = {"type": "websocket.receive", "text": "hello"}
    _, seen = _websocket(PREFECT, received=[first, then])
    assert seen[1:] == [first, then]


@pytest.mark.parametrize(
    "text",
    ["", "x", "[]", "1", json.dumps({"type": "filter", "token": SECRET}), '{"type": "auth"}']
    + [json.dumps({"type": "auth", "token": token}) for token in (None, "", 1, SECRET[:-1], "é")],
)
def test_a_websocket_with_a_wrong_first_message_is_closed(text):
    """It was told nothing and nothing it said was heard."""
    then = {"type": "websocket.receive", "text": "hello"}
    for first in ({"text": text}, {"bytes": text.encode()}):
        sent, seen = _websocket(PREFECT, received=[{"type": "websocket.receive", **first}, then])
        assert seen == ["/api/flows"]
        assert [m["type"] for m in sent] == ["websocket.accept", "websocket.close"]
        assert sent[1]["code"] == 1008


def test_a_websocket_that_says_nothing_is_told_nothing():
    """Nor does one get in that speaks another protocol."""
    sent, seen = _websocket(PREFECT)
    assert "websocket.send" not in {message["type"] for message in sent}
    sent, seen = _websocket()
    assert (sent[0]["type"], seen) == ("websocket.close", [])


def test_the_server_itself_passes():
    """Starting and stopping is nobody's request."""
    seen = []

    async def app(scope, receive, send):
        seen.append(scope["type"])

    asyncio.run(Guard(app, SECRET, PORT)({"type": "lifespan"}, None, None))
    assert seen == ["lifespan"]
