"""What came of what, drawn: of a chain, or of a table by whatever chain of the home."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from fastapi import APIRouter, HTTPException, Request
from markupsafe import Markup
from starlette.responses import HTMLResponse, Response

from baton.chain import records, traces
from baton.chain.events import Event
from baton.chain.graph import Graph, Node, NodeKind, table_id
from baton.errors import InputError
from baton.settings import Settings
from baton.showing.drawn_graph import as_svg, drawn
from serving.pages import layout
from serving.pages.chains import ChainId
from serving.pages.desk import Desk, TheDesk
from serving.pages.layout import Link
from serving.pages.telling import result_path, table_path
from tasks.platform.api import ApiError

ROUTER = APIRouter()
LINK = Link("Lineage", "/lineage")

_CHOICES = 50


@dataclass(frozen=True)
class Asked:
    """What is drawn, and of what."""

    graph: Graph
    title: str
    path: str
    """Path of the page of what was asked for."""
    place: str
    """Path of this page."""
    marked: str = ""
    """Id of the node that was asked for."""


@ROUTER.get("/lineage")
def latest(request: Request, desk: TheDesk, chain: str = "") -> Response:
    """Show that of the latest chain, or of a chain that was chosen."""
    found = chain or next((one.chain for one in records.latest(desk.settings)), "")
    if not found:
        return layout.page(request, "lineage.html.jinja", asked=None, choices=[], chosen="")
    return _page(request, desk, _of_chain(desk, found), found)


@ROUTER.get("/chains/{chain_id}/lineage")
def of_chain(request: Request, chain_id: ChainId, desk: TheDesk) -> HTMLResponse:
    """Show what came of what in a chain."""
    return _page(request, desk, _of_chain(desk, chain_id), chain_id)


@ROUTER.get("/chains/{chain_id}/lineage.svg")
def drawn_chain(chain_id: ChainId, desk: TheDesk) -> Response:
    """Give the picture as a file."""
    return _svg(_of_chain(desk, chain_id), f"lineage-{chain_id}.svg")


@ROUTER.get("/tables/{problem}/{digest}/{name}/lineage")
def of_table(request: Request, problem: str, digest: str, name: str, desk: TheDesk) -> HTMLResponse:
    """Show what a table was made from, and what was made from it."""
    return _page(request, desk, _of_table(desk, f"{problem}/{digest}/{name}.parquet"))


@ROUTER.get("/tables/{problem}/{digest}/{name}/lineage.svg")
def drawn_table(problem: str, digest: str, name: str, desk: TheDesk) -> Response:
    """Give the picture as a file."""
    asked = _of_table(desk, f"{problem}/{digest}/{name}.parquet")
    return _svg(asked, f"lineage-{name}.svg")


def _of_chain(desk: Desk, chain: str) -> Asked:
    try:
        graph = traces.of_chain(desk.settings, chain, _announced(desk, chain))
    except InputError as error:
        raise HTTPException(404, f"{error}") from None
    place = f"/chains/{chain}"
    return Asked(graph, f"chain {chain}", place, f"{place}/lineage")


def _announced(desk: Desk, chain: str) -> tuple[Event, ...]:
    with suppress(ApiError):  # the home knows most of it
        return traces.announced(desk.server.events_of(chain))
    return ()


def _of_table(desk: Desk, key: str) -> Asked:
    try:
        graph = traces.of_table(desk.settings, traces.key_of(desk.settings, key))
    except InputError:
        raise HTTPException(404, "There is no such table in this home.") from None
    return Asked(graph, key, table_path(key), f"{table_path(key)}/lineage", table_id(key))


def _page(request: Request, desk: Desk, asked: Asked, chosen: str = "") -> HTMLResponse:
    links = links_of(desk.settings, asked.graph)
    found = zip(range(_CHOICES), records.latest(desk.settings), strict=False)
    return layout.page(
        request,
        "lineage.html.jinja",
        asked=asked,
        # Escaped where it is drawn: it is of templates of ours.
        picture=Markup(drawn(asked.graph, links, asked.marked)),
        lines=lines_of(asked.graph, links),
        choices=[one for _, one in found],
        chosen=chosen,
    )


def _svg(asked: Asked, name: str) -> Response:
    headers = {"content-disposition": f'attachment; filename="{name}"'}
    content = as_svg(asked.graph, marked=asked.marked)
    return Response(content, media_type="image/svg+xml", headers=headers)


def links_of(settings: Settings, graph: Graph) -> dict[str, str]:
    """Paths of the pages that the nodes have here."""
    found = {one.id: _path(settings, one) for one in graph.nodes}
    return {name: path for name, path in found.items() if path}


def _path(settings: Settings, node: Node) -> str:
    is_here = (settings.results / node.name).is_file()
    match node.kind:
        case NodeKind.TABLE:
            return table_path(node.name) if is_here else ""
        case NodeKind.PAGE:
            return result_path(node.name) if is_here else ""
        case NodeKind.MODEL | NodeKind.DECISION:
            return f"/models/{node.name.rpartition('/')[0]}"
        case NodeKind.CHAIN:
            return f"/chains/{node.name}"
    return ""


def lines_of(graph: Graph, links: dict[str, str]) -> list[dict[str, Any]]:
    """What each thing was made from, a line for each: the picture for those who do not see it."""
    stages = {(edge.begin, edge.end): edge.stage for edge in graph.edges}
    return [
        {
            "node": one,
            "path": links.get(one.id, ""),
            "before": [graph[other].title for other in graph.before[one.id]],
            "stage": next(filter(None, (stages[b, one.id] for b in graph.before[one.id])), ""),
        }
        for one in graph.nodes
    ]
