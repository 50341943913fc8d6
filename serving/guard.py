"""Who is let in: the guard before the pages and APIs of an embedded Baton.

Being on this machine is no proof of being its user: a page in the user's browser and any other
user can send requests here too. Any ASGI application stands behind it; it knows neither Prefect
nor MLflow. See ``docs/adr/0014-nobody-in.md``.
"""

from __future__ import annotations

import base64
import hmac
import json
import secrets
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, quote, urlencode

HOST = "127.0.0.1"
"""Where an embedded Baton listens."""

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Message, Receive, Send], Awaitable[None]]

_TOKEN = "token"
_CLOSED = {"type": "websocket.close", "code": 1008}
_GONE = {"type": "websocket.disconnect", "code": 1008}
_ADVICE = (
    "Open the link that `baton up` printed: it logs in. A program sends what the file `auth` of"
    " the home says, as PREFECT_API_AUTH_STRING.\n"
)


def new_secret() -> str:
    """Secret of one start, ``user:password`` as basic authorization has it."""
    return f"baton:{secrets.token_urlsafe(32)}"


def link(address: str, secret: str) -> str:
    """Address of a page with the token that logs in; a server never sees what follows ``#``."""
    page, mark, place = address.partition("#")
    sign = "&" if "?" in page else "?"
    return f"{page}{sign}{_TOKEN}={_derived(secret, _TOKEN)}{mark}{place}"


def _derived(secret: str, purpose: str) -> str:
    """What follows from the secret and does not tell it: browsers keep links and cookies."""
    return hmac.digest(secret.encode(), purpose.encode(), "sha256").hex()


def _is_same(one: str, other: str) -> bool:
    """Compare in a time that tells nothing about where they differ."""
    return hmac.compare_digest(one.encode("utf-8", "replace"), other.encode())


@dataclass(frozen=True)
class Guard:
    """An application that only those who have the secret can use, by its own address.

    Parameters
    ----------
    app : callable
        ASGI application.
    secret : str
        ``user:password``, the same for all who are let in.
    port : int
        Where it listens, on the loopback interface.
    advice : str
        What one who is not known is told.
    open_to_all : set of str
        Paths that say nothing but that it is there, which need no secret.
    names : set of str
        Further names, with their ports, that it is known by.

    Raises
    ------
    ValueError
        If the secret, or its password, is empty.
    """

    app: App
    secret: str
    port: int
    advice: str = _ADVICE
    open_to_all: frozenset[str] = frozenset()
    names: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        if not self.secret.partition(":")[2]:
            raise ValueError("a guard needs a secret")

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Let a request through, answer it, or refuse it."""
        if scope["type"] not in {"http", "websocket"}:  # the server's own start and end
            await self.app(scope, receive, send)
            return
        request = _Request(scope)
        if reason := self._refusal(request):
            await _refuse(request, send, 403, f"{reason}\n")
        elif answer := self._moved(request):
            await _answer(send, *answer)
        elif scope["path"] in self.open_to_all or self._is_known(request):
            await self.app(scope, receive, send)
        elif request.speaks_prefect:
            await self._asked(scope, receive, send)
        else:
            await _refuse(request, send, 401, self.advice)

    def _refusal(self, request: _Request) -> str:
        """Why nobody may ask so, whoever it is."""
        host, origin = request.only("host"), request.only("origin")
        own = {f"{name}:{self.port}" for name in (HOST, "localhost", "[::1]")}
        if host not in own | self.names:
            return "This server has another name."
        if origin is not None and origin != f"http://{host}":
            return "Pages of other origins have no access."
        if request.is_of_another_page:
            return "Pages of other sites have no access."
        return ""

    def _moved(self, request: _Request) -> tuple[int, dict[str, str]] | None:
        """Status and headers that lead a browser on: to the name of the cookie, or logged in."""
        if request.method != "GET":
            return None
        own = f"{HOST}:{self.port}"
        is_named = request.only("host") in {own} | self.names
        if not is_named and "text/html" in (request.only("accept") or ""):
            return 307, {"location": f"http://{own}{request.target()}"}
        if not _is_same(request.token, _derived(self.secret, _TOKEN)):
            return None
        cookie = f"{self._cookie}={self._cookie_value}; HttpOnly; SameSite=Strict; Path=/"
        target = request.target(without=_TOKEN)
        if request.only("sec-fetch-site") == "cross-site":  # it would be led on without the cookie
            led = {"refresh": f"0; url={target}", "content-type": "text/html"}
            return 200, led | {"set-cookie": cookie}
        return 303, {"location": target, "set-cookie": cookie}

    @property
    def _cookie(self) -> str:
        return f"baton-{self.port}"  # browsers send the cookies of one port to all others

    @property
    def _cookie_value(self) -> str:
        return _derived(self.secret, self._cookie)

    def _is_known(self, request: _Request) -> bool:
        scheme, _, given = (request.only("authorization") or "").partition(" ")
        expected = base64.b64encode(self.secret.encode()).decode()
        known = {"basic": expected, "bearer": self.secret.partition(":")[2]}.get(scheme.lower())
        has_secret = known is not None and _is_same(given.strip(), known)
        return has_secret or _is_same(request.cookie(self._cookie), self._cookie_value)

    async def _asked(self, scope: Message, receive: Receive, send: Send) -> None:
        """Let a websocket in by its first message, as Prefect's clients that listen have it."""
        state = "asked"

        async def received() -> Message:
            nonlocal state
            message = await receive()
            if state == "asked" and message["type"] == "websocket.receive":
                state = "known" if _is_same(_token_of(message), self.secret) else "refused"
                if state == "refused":
                    await send(_CLOSED)
            return _GONE if state == "refused" else message

        async def sent(message: Message) -> None:
            if state == "known" or (state == "asked" and message["type"] != "websocket.send"):
                await send(message)

        await self.app(scope, received, sent)


def _token_of(message: Message) -> str:
    """Token in a message of Prefect's protocol; empty if it is another message."""
    try:
        content = json.loads(message.get("text") or "")
        found = content["token"] if content["type"] == "auth" else ""
    except (ValueError, TypeError, KeyError, RecursionError):
        return ""
    return found if isinstance(found, str) else ""


@dataclass(frozen=True)
class _Request:
    """What a request says of itself."""

    scope: Message

    @property
    def method(self) -> str:
        """Method; that of a websocket's handshake is not looked at."""
        return str(self.scope.get("method", ""))

    def all(self, name: str) -> list[str]:
        """Values of a header, one for each time that it is there."""
        found = self.scope["headers"]
        return [value.decode("latin-1") for key, value in found if key == name.encode()]

    def only(self, name: str) -> str | None:
        """Value of a header, None if it is not there; what is said twice is not known."""
        values = self.all(name)
        return values[0] if len(values) == 1 else ("" if values else None)

    def cookie(self, name: str) -> str:
        """Value of a cookie, empty if it is not there."""
        pairs = (pair.partition("=") for pair in "; ".join(self.all("cookie")).split(";"))
        return next((value.strip() for key, _, value in pairs if key.strip() == name), "")

    @property
    def query(self) -> list[tuple[str, str]]:
        """Parameters in the address."""
        return parse_qsl(self.scope["query_string"].decode("latin-1"), keep_blank_values=True)

    @property
    def token(self) -> str:
        """Token in the address, empty if there is none."""
        found = [value for name, value in self.query if name == _TOKEN]
        return found[0] if len(found) == 1 else ""

    def target(self, without: str = "") -> str:
        """Path and query, leading to this server whatever they hold."""
        path = "/" + quote(self.scope["path"].lstrip("/"), safe="/:@!$&'()*+,;=~")
        query = urlencode([(name, value) for name, value in self.query if name != without])
        return f"{path}?{query}" if query else path

    @property
    def is_of_another_page(self) -> bool:
        """Tell whether a page of another site or port had it sent; following a link is not that."""
        if (self.only("sec-fetch-site") or "none") in {"none", "same-origin"}:
            return False
        how = self.only("sec-fetch-mode"), self.only("sec-fetch-dest")
        return self.method != "GET" or how != ("navigate", "document")

    @property
    def speaks_prefect(self) -> bool:
        """Tell whether it is a websocket that says who it is by its first message."""
        said = ",".join(self.all("sec-websocket-protocol")).split(",")
        return self.scope["type"] == "websocket" and "prefect" in {name.strip() for name in said}


async def _refuse(request: _Request, send: Send, status: int, text: str) -> None:
    if request.scope["type"] == "websocket":
        await send(_CLOSED)
    else:
        await _answer(send, status, {"content-type": "text/plain"}, text.encode())


async def _answer(send: Send, status: int, headers: dict[str, str], body: bytes = b"") -> None:
    kept = {"cache-control": "no-store", "referrer-policy": "no-referrer"}
    length = {"content-length": str(len(body))}
    pairs = [(k.encode(), v.encode()) for k, v in (headers | kept | length).items()]
    await send({"type": "http.response.start", "status": status, "headers": pairs})
    await send({"type": "http.response.body", "body": body})
