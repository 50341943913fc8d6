"""The champion over HTTP: an application that answers rows and swaps the model when it is told.

What a model answers belongs in ``tasks/answering.py``, where it listens in ``entrance``. A request
takes the champion of its moment once and is answered by that one alone; a swap is one assignment,
so nobody waits for it. ``python -m serving.answers NAME DESCRIPTOR`` answers on a socket of whoever
started it, by the first champion as soon as there is one.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from starlette.concurrency import run_in_threadpool

from baton.errors import InputError
from baton.settings import Settings, settings
from serving.entrance import TooLongError, body_of, run, token_of
from serving.guard import Guard
from serving.listening import promotions
from tasks.answering import SUFFIXES, Champion, TooManyRowsError, champion, loaded, read_body
from tasks.naming import model_named
from tasks.platform.tracking import champion_of

log = logging.getLogger("baton.answers")

OPEN = frozenset({"/health", "/ready"})
"""What probes ask; they say nothing of the model."""

LOOK_SECONDS = 15.0
"""Between two looks at the alias, for a promotion of which no event came."""

FIRST_LOOK_SECONDS = 30.0
"""How long a process that begins without a champion may look for one before it answers 503."""

ADVICE = (
    "Send the header `Authorization: Bearer TOKEN`; the token is in the file `serve.token` of the"
    " home, or what BATON_SERVE_TOKEN says.\n"
)


class Swapped:
    """The champion of the moment.

    Parameters
    ----------
    asked : str
        A problem's name, or a model's.
    waits : bool
        Begin without one: the first look finds the first.

    Raises
    ------
    InputError
        If there is none, and it does not wait.
    """

    def __init__(self, asked: str, *, waits: bool = False) -> None:
        self.asked = asked
        self.now = None if waits else champion(model_named(asked))
        """None until there is a first one."""
        self.trouble = "the champion is looked for" if waits else ""
        """Why there is none yet, or a newer one could not be loaded; empty if nothing is wrong."""

    def look(self) -> bool:
        """Take the present champion, if it is another; tell whether it was."""
        before = self.now
        try:
            found = self._found()
        except Exception as error:  # noqa: BLE001  whatever it is, the last one goes on
            self._tell(" ".join(str(error).split()))
            return False
        self.now, self.trouble = found, ""
        if found is not before:
            log.info("%s version %d answers", found.reference.name, found.reference.version)
        return found is not before

    def _found(self) -> Champion:
        """The present champion; where none is left, the last one goes on."""
        if self.now is None:
            return champion(model_named(self.asked))
        reference = champion_of(self.now.reference.name)
        if reference is None or reference == self.now.reference:
            return self.now
        return loaded(reference)

    def _tell(self, trouble: str) -> None:
        """Keep what is wrong, and say it once."""
        if trouble != self.trouble:
            goes_on = f"; version {self.now.reference.version} goes on" if self.now else ""
            log.warning("%s%s", trouble, goes_on)
        self.trouble = trouble


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
        self.took(held.now)

    def took(self, model: Champion | None) -> None:
        """Know which model answers from now on."""
        if model is not None:
            self.version.labels(model.reference.name).set(model.reference.version)


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
        if held.now is None:  # whoever asks before is kept waiting, not refused
            first = asyncio.create_task(_look(held, measured))
            await asyncio.wait([first], timeout=FIRST_LOOK_SECONDS)
        tasks = [asyncio.create_task(_watch(held, told, measured))]
        if promotions is not None:
            tasks.append(asyncio.create_task(_hear(promotions, told)))
        yield
        for one in tasks:
            one.cancel()

    app = FastAPI(title=f"Baton: {held.asked}", docs_url=None, redoc_url=None, lifespan=lifespan)
    _add_answers(app, _Desk(held, settings, measured))
    _add_facts(app, held, measured)
    _describe(app, held)
    return app


async def _watch(held: Swapped, told: asyncio.Event, measured: _Measured) -> None:
    """Look at the alias when told to, and from time to time."""
    while True:
        with suppress(TimeoutError):
            await asyncio.wait_for(told.wait(), LOOK_SECONDS)
        told.clear()
        await _look(held, measured)


async def _look(held: Swapped, measured: _Measured) -> None:
    is_first = held.now is None
    if await run_in_threadpool(held.look):
        measured.took(held.now)
        measured.swaps.inc(0 if is_first else 1)


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
            model = _present(self.held)
            found, n_rows = await run_in_threadpool(self._asked, model, content, kind, how)
        except _RefusedError as refused:
            self.measured.requests.labels(path, refused.status).inc()
            return refused.response
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
    async def there() -> dict[str, str]:
        return {"status": "ok"}

    @app.get("/ready", summary="Whether a model answers: 503 until there is a first champion")
    async def ready() -> JSONResponse:
        if held.now is None:  # everybody may ask: why is for those who are let in
            return JSONResponse({"status": "waits for the first champion"}, 503)
        return JSONResponse({"status": "ok"})

    @app.get("/model", summary="Which version answers, and the columns that it takes")
    async def model() -> JSONResponse:
        try:
            facts = _present(held).facts
        except _RefusedError as refused:
            return refused.response
        return JSONResponse(facts | ({"trouble": held.trouble} if held.trouble else {}))

    @app.get("/metrics", summary="Counters for Prometheus", response_class=Response)
    async def metrics() -> Response:
        return Response(generate_latest(measured.registry), media_type=CONTENT_TYPE_LATEST)


def _describe(app: FastAPI, held: Swapped) -> None:
    """Have the description say what columns the model of the moment takes."""
    plain = app.openapi

    def openapi() -> dict[str, Any]:
        found = plain()
        record = {"type": "object", "properties": _properties(held.now) if held.now else {}}
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

    @property
    def response(self) -> JSONResponse:
        """What whoever asked is told."""
        return JSONResponse({"error": str(self)}, self.status)


def _present(held: Swapped) -> Champion:
    """The champion of the moment, or why there is none."""
    if held.now is None:
        raise _RefusedError(503, f"no model answers yet: {held.trouble}")
    return held.now


async def _content(request: Request, most: int) -> bytes:
    """Body of a request, unless it is too long."""
    try:
        return await body_of(request, most)
    except TooLongError as error:
        raise _RefusedError(413, f"{error}; send fewer rows") from None


def guarded(app: FastAPI, token: str, port: int, names: frozenset[str] = frozenset()) -> Guard:
    """Let in by the token alone, by its own address."""
    return Guard(app, f"baton:{token}", port, ADVICE, OPEN, names)


def answer(held: Swapped, place: socket.socket) -> None:
    """Answer on this socket until the process is told to end."""
    app = application(held, settings(), promotions(settings()))
    port = place.getsockname()[1]
    run(guarded(app, token_of(settings()), port, settings().allowed), place)


def main() -> None:
    """Answer on a socket that this process was started with."""
    asked, descriptor = sys.argv[1:]
    logging.basicConfig(format="%(asctime)s %(name)s: %(message)s")
    log.setLevel(logging.INFO)
    with socket.socket(fileno=int(descriptor)) as place:
        answer(Swapped(asked, waits=True), place)


if __name__ == "__main__":
    main()
