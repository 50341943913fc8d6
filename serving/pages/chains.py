"""The pages of chains: the list of them, and one as it goes."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from datetime import datetime
from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import APIRouter, HTTPException, Path, Request
from starlette.background import BackgroundTask
from starlette.concurrency import run_in_threadpool
from starlette.responses import HTMLResponse, RedirectResponse, Response, StreamingResponse

from serving.pages import drawing, layout, telling, warmth, watching
from serving.pages.desk import Desk, TheDesk
from serving.pages.layout import Link
from serving.pages.telling import Seen
from serving.pages.watching import Watch
from tasks.platform.api import ApiError

ROUTER = APIRouter()
LINK = Link("Chains", "/chains")

ChainId = Annotated[str, Path(pattern=r"^[0-9a-f]{12}$")]

_SHOWN = 20
_SECONDS_BETWEEN_LOOKS = 0.7
_SECONDS_AFTER_A_MISS = 2.0
_SECONDS_WITHOUT_A_WORD = 15.0
"""After these something is sent, so that a browser which has gone is noticed."""

PARTS = ("heading", "picture", "outcome", "stages", "tables", "log")
"""Parts of a chain's page that change while it goes, each a template of ``parts``."""


@ROUTER.get("/chains")
def latest(request: Request, desk: TheDesk, before: str = "") -> HTMLResponse:
    """List the latest chains, or those before a time."""
    lines = watching.latest(desk, _time(before), _SHOWN)
    older = urlencode({"before": lines[-1].since.isoformat()}) if len(lines) == _SHOWN else ""
    return layout.page(
        request,
        "chains.html.jinja",
        lines=lines,
        older=older,
        is_later=bool(before),
        word=telling.state_word,
    )


def _time(before: str) -> datetime:
    try:
        found = datetime.fromisoformat(before) if before else watching.now()
    except ValueError:
        raise HTTPException(404, "The list of chains has no such part.") from None
    return found if found.tzinfo else found.astimezone()


@ROUTER.get("/chains/{chain_id}")
def chain(request: Request, chain_id: ChainId, desk: TheDesk, log: bool = False) -> HTMLResponse:
    """Show a chain: its stages as they are now, and what it has made."""
    seen = _found(desk, chain_id)
    shown = layout.page(request, "chain.html.jinja", **_content(desk, seen, is_log=log))
    shown.background = BackgroundTask(warmth.for_tables)
    return shown


@ROUTER.get("/chains/{chain_id}/report")
def report(chain_id: ChainId, desk: TheDesk) -> Response:
    """Lead on to a chain's report, for links that were written before its decision."""
    seen = _found(desk, chain_id)
    place = next((one.path for one in seen.made.pages if one.title == "Report"), "")
    return RedirectResponse(place or f"/chains/{chain_id}", 303)


@ROUTER.get("/chains/{chain_id}/events")
async def events(request: Request, chain_id: ChainId, desk: TheDesk) -> StreamingResponse:
    """Tell how far a chain is, as it goes, until nothing more will come of it."""
    watch: Watch = request.app.state.watch
    return StreamingResponse(_told(desk, watch, chain_id), media_type="text/event-stream")


def _found(desk: Desk, chain_id: str) -> Seen:
    seen = watching.look(desk, chain_id)
    if seen is None:
        raise HTTPException(404, f"There is no chain {chain_id} here.")
    return seen


def _content(desk: Desk, seen: Seen, *, is_log: bool = False) -> dict[str, Any]:
    """What the templates of a chain's page speak of."""
    has_log = is_log or seen.state != "COMPLETED"
    labels = {"labels": seen.begun.labels} if seen.begun else {}
    return {
        "desk": desk,
        "parts": PARTS,
        "seen": seen,
        "drawn": drawing.picture(seen.stages, desk.manifest, **labels),
        "lines": desk.server.log_of(seen.id, watching.SHOWN_LINES) if has_log else [],
        "has_log": has_log,
        "again": telling.again(seen.begun),
        "word": telling.word,
        "state_word": telling.state_word,
    }


async def _told(desk: Desk, watch: Watch, chain_id: str) -> AsyncIterator[str]:
    """Server-sent events: each part of the page when it is another than before."""
    before: dict[str, str] = {}
    spoken = time.monotonic()
    while True:
        try:
            seen, parts = await run_in_threadpool(_parts, desk, watch, chain_id)
        except ApiError:  # `baton up` starts a server that died again
            await asyncio.sleep(_SECONDS_AFTER_A_MISS)
            yield ": the server does not answer\n\n"
            continue
        changed = {name: html for name, html in parts.items() if before.get(name) != html}
        if changed:
            yield f"event: seen\ndata: {json.dumps({'parts': changed, 'said': seen.said})}\n\n"
        elif time.monotonic() - spoken > _SECONDS_WITHOUT_A_WORD:
            yield ": nothing new\n\n"
        if changed:
            before, spoken = parts, time.monotonic()
        if seen.is_over:
            yield "event: over\ndata: {}\n\n"
            return
        await asyncio.sleep(_SECONDS_BETWEEN_LOOKS)


def _parts(desk: Desk, watch: Watch, chain_id: str) -> tuple[Seen, dict[str, str]]:
    seen = watch.look(chain_id)
    if seen is None:
        raise ApiError(f"there is no chain {chain_id}")
    content = _content(desk, seen)
    return seen, {one: layout.fragment(f"parts/{one}.html.jinja", **content) for one in PARTS}
