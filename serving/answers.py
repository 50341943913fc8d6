"""The champion over HTTP: an application that answers rows and swaps the model when it is told.

What a model answers belongs in ``tasks/answering.py``. A request takes the champion of its moment
once and is answered by that one alone; a swap is one assignment, so nobody waits for it.
"""

from __future__ import annotations

import asyncio
import logging
import os
import secrets
import socket
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import uvicorn
from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from starlette.concurrency import run_in_threadpool

from baton.atomic import write_bytes
from baton.errors import InputError
from baton.settings import Settings
from serving.guard import HOST, Guard
from tasks.answering import SUFFIXES, Champion, TooManyRowsError, champion, loaded, read_body
from tasks.platform.tracking import champion_of

log = logging.getLogger(__name__)

OPEN = frozenset({"/health", "/ready"})
"""What probes ask; they say nothing of the model."""

LOOK_SECONDS = 15.0
"""Between two looks at the alias, for a promotion of which no event came."""

ADVICE = (
    "Send the header `Authorization: Bearer TOKEN`; the token is in the file `serve.token` of the"
    " home, or what BATON_SERVE_TOKEN says.\n"
)


def token_of(settings: Settings) -> str:
    """Token that is asked of everybody: the setting's, or one that is made once and kept.

    Raises
    ------
    InputError
        If it cannot be kept, or is empty.
    """
    if given := settings.serve_token.get_secret_value():
        return given
    place = settings.home / "serve.token"
    try:
        if not place.exists():
            _make_token(place)
        token = place.read_text("ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"the token cannot be kept in {place}: {error}") from None
    if not token:
        raise InputError(f"{place} is empty: remove it, and `baton serve` makes another")
    return token


def _make_token(place: Path) -> None:
    """Make the file of a token, whole at once; of two who do, the first one's stays."""
    place.parent.mkdir(parents=True, exist_ok=True)
    made = place.with_name(f".{uuid4().hex}.token")
    write_bytes(made, secrets.token_urlsafe(32).encode())
    made.chmod(0o600)
    with suppress(FileExistsError):
        os.link(made, place)
    made.unlink()


class Swapped:
    """The champion of the moment.

    Parameters
    ----------
    name : str
        Of the registered model.

    Raises
    ------
    NoModelError
        If it has no champion.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.now = champion(name)
        self.trouble = ""
        """Why a newer champion could not be loaded; empty if it could."""

    def look(self) -> bool:
        """Take the present champion, if it is another; tell whether it was."""
        reference = champion_of(self.name)
        if reference is None or reference == self.now.reference:
            self.trouble = ""
            return False  # where no champion is left, the last one goes on
        try:
            found = loaded(reference)
        except Exception as error:  # noqa: BLE001  whatever it is, the last one goes on
            self.trouble = " ".join(str(error).split())
            log.warning("%s; version %d goes on", error, self.now.reference.version)
            return False
        self.now, self.trouble = found, ""
        log.info("%s version %d answers", self.name, found.reference.version)
        return True


class _Measured:
    """What Prometheus is told."""

    def __init__(self, held: Swapped) -> None:
        self.registry = CollectorRegistry()
        own = self.registry
        self.requests = Counter("baton_requests", "Requests.", ["path", "status"], registry=own)
        self.rows = Counter("baton_rows", "Rows answered.", ["path"], registry=own)
        self.seconds = Histogram("baton_seconds", "Seconds to answer.", ["path"], registry=own)
        self.swaps = Counter("baton_swaps", "Times that the model was swapped.", registry=own)
        self.version = Gauge("baton_model_version", "Version that answers.", ["name"], registry=own)
        self.version.labels(held.name).set_function(lambda: held.now.reference.version)


def application(
    held: Swapped,
    settings: Settings,
    promotions: AsyncIterator[None] | None = None,
) -> FastAPI:
    """Application that answers by the champion.

    Parameters
    ----------
    held : Swapped
    settings : Settings
        Says how much a request may hold.
    promotions : async iterator, optional
        Yields whenever a promotion is announced.
    """
    measured = _Measured(held)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        told = asyncio.Event()
        tasks = [asyncio.create_task(_watch(held, told, measured.swaps.inc))]
        if promotions is not None:
            tasks.append(asyncio.create_task(_hear(promotions, told)))
        yield
        for one in tasks:
            one.cancel()

    app = FastAPI(title=f"Baton: {held.name}", docs_url=None, redoc_url=None, lifespan=lifespan)
    _add_answers(app, _Desk(held, settings, measured))
    _add_facts(app, held, measured)
    return app


async def _watch(held: Swapped, told: asyncio.Event, swapped: Callable[[], None]) -> None:
    """Look at the alias when told to, and from time to time."""
    while True:
        with suppress(TimeoutError):
            await asyncio.wait_for(told.wait(), LOOK_SECONDS)
        told.clear()
        try:
            if await run_in_threadpool(held.look):
                swapped()
        except Exception as error:  # noqa: BLE001  of a registry that is away: looked at again
            log.warning("the champion could not be looked up: %s", error)


async def _hear(promotions: AsyncIterator[None], told: asyncio.Event) -> None:
    async for _ in promotions:
        told.set()


How = Callable[[Champion, Any], dict[str, Any]]
"""What a champion is asked of rows."""


@dataclass(frozen=True)
class _Desk:
    """Where rows are taken and answered."""

    held: Swapped
    settings: Settings
    measured: _Measured

    async def answer(self, request: Request, how: How) -> Response:
        """Answer a request by the champion of its moment, or say in one line why not."""
        path, began = request.url.path, time.perf_counter()
        try:
            content = await _content(request, self.settings.serve_bytes)
            kind = request.headers.get("content-type", "application/json")
            found, n_rows = await run_in_threadpool(self._asked, self.held.now, content, kind, how)
        except _RefusedError as refused:
            self.measured.requests.labels(path, refused.status).inc()
            return JSONResponse({"error": str(refused)}, refused.status)
        except Exception:
            self.measured.requests.labels(path, 500).inc()
            raise
        self.measured.requests.labels(path, 200).inc()
        self.measured.rows.labels(path).inc(n_rows)
        self.measured.seconds.labels(path).observe(time.perf_counter() - began)
        return JSONResponse(found)

    def _asked(
        self, model: Champion, content: bytes, kind: str, how: How
    ) -> tuple[dict[str, Any], int]:
        try:
            rows = read_body(content, kind, self.settings.serve_rows)
            found = how(model, rows)
        except TooManyRowsError as error:
            raise _RefusedError(413, str(error)) from None
        except InputError as error:
            raise _RefusedError(422, str(error)) from None
        named = {"name": model.reference.name, "version": model.reference.version}
        return {"model": named, **found}, len(rows)


def _add_answers(app: FastAPI, desk: _Desk) -> None:
    """Add what rows are sent to."""
    body = {"requestBody": {"required": True, "content": {kind: {} for kind in SUFFIXES}}}

    @app.post("/predict", openapi_extra=body, summary="Answers, row by row, and doubtful cells")
    async def predict(request: Request) -> Response:
        return await desk.answer(request, Champion.predict)

    @app.post("/explain", openapi_extra=body, summary="Shapley values, row by row")
    async def explain(request: Request) -> Response:
        return await desk.answer(request, Champion.explain)


def _add_facts(app: FastAPI, held: Swapped, measured: _Measured) -> None:
    """Add what is said of the model and of the process."""

    @app.get("/health", summary="Whether the process is there")
    @app.get("/ready", summary="Whether a model answers: it begins with one")
    async def there() -> dict[str, str]:
        return {"status": "ok"}

    @app.get("/model", summary="Which version answers, and the columns that it takes")
    async def model() -> dict[str, Any]:
        return held.now.facts | ({"trouble": held.trouble} if held.trouble else {})

    @app.get("/metrics", summary="Counters for Prometheus", response_class=Response)
    async def metrics() -> Response:
        return Response(generate_latest(measured.registry), media_type=CONTENT_TYPE_LATEST)

    plain = app.openapi

    def openapi() -> dict[str, Any]:
        found = plain()
        record = {"type": "object", "properties": _properties(held.now)}
        rows = {"schema": {"type": "array", "items": record}}
        for path in ("/predict", "/explain"):
            found["paths"][path]["post"]["requestBody"]["content"]["application/json"] = rows
        return found

    app.openapi = openapi  # type: ignore[method-assign]


_TYPES = {"number": "number", "flag": "boolean"}


def _properties(model: Champion) -> dict[str, Any]:
    """Columns in the terms of OpenAPI."""
    return {
        name: {"type": [_TYPES.get(role, "string"), "null"], "description": role}
        for name, role in model.columns.items()
    }


class _RefusedError(Exception):
    """A request that is not answered, in one line."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


async def _content(request: Request, most: int) -> bytes:
    """Body of a request, which is not read further than it may be long."""
    found = bytearray()
    async for part in request.stream():
        found += part
        if len(found) > most:
            raise _RefusedError(413, f"the body has more than {most} bytes; send fewer rows")
    return bytes(found)


def guarded(app: FastAPI, token: str, port: int) -> Guard:
    """Let in by the token alone, by its own address."""
    return Guard(app, f"baton:{token}", port, ADVICE, OPEN)


@contextmanager
def listening(port: int) -> Iterator[socket.socket]:
    """Socket on the loopback interface.

    Raises
    ------
    InputError
        If the port is taken, or not to be had.
    """
    # Named, lest asyncio leave Nagle's algorithm on: every answer would take 40 ms longer.
    place = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    place.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        place.bind((HOST, port))
    except (OSError, OverflowError) as error:
        place.close()
        reason = getattr(error, "strerror", None) or "ports are 0 to 65535"
        raise InputError(
            f"port {port} cannot be listened on: {reason}; give another by --port, or 0 for"
            " any free one"
        ) from None
    with place:
        yield place


def run(app: Guard, place: socket.socket) -> None:
    """Serve until the process is told to end; what is being answered is answered first."""
    config = uvicorn.Config(app, log_level="warning", access_log=False)
    uvicorn.Server(config).run(sockets=[place])
