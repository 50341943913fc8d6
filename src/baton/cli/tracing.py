"""The command that tells what came of what: ``graph``."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter
from rich.markup import escape
from rich.tree import Tree

from baton.atomic import write_bytes
from baton.chain import records, traces
from baton.chain.events import Event
from baton.chain.graph import Facts, Graph, Node, graph_of, table_id
from baton.cli.app import OUT, AsJson, app, print_json
from baton.cli.connection import server_at
from baton.errors import InputError
from baton.settings import settings
from baton.showing.drawn_graph import as_svg
from serving.embedded import found, named
from tasks.platform.api import ApiError

_ID = re.compile(r"[0-9a-f]{1,12}")
_WAITS = (0.25,)

SvgFile = Parameter(name="--svg", help="File to draw it to as well, as SVG.")


@app.command
def graph(
    name: str = "", /, *, as_json: AsJson = False, svg: Annotated[Path | None, SvgFile] = None
) -> int:
    """Tell what came of what, of the latest chain, or of the CHAIN or TABLE of this NAME.

    Of a chain, all that it made, from where its rows came to what was decided. Of a table, what it
    was made from and what was made from it, by whatever chain of the home.

    Examples
    --------
    `baton graph 3f9c1a --svg chain.svg`

    `baton graph .baton/results/iris/0c5f1d2e3a4b5c6d/features.parquet`

    Parameters
    ----------
    name
        Id of a chain or its first digits, or the path or the key of a table.
    """
    if traces.is_table(name):
        key = traces.key_of(settings(), name)
        shown, marked = traces.of_table(settings(), key), table_id(key)
    else:
        chain, events = _chain(name)
        shown, marked = traces.of_chain(settings(), chain, events), ""
    if svg is not None:
        _write(svg, as_svg(shown, marked=marked))
    if as_json:
        print_json(shown.as_json())
    else:
        for tree in trees(shown, marked):
            OUT.print(tree, highlight=False)
    return 0


def _chain(beginning: str) -> tuple[str, tuple[Event, ...]]:
    """Whole id of a chain, and what the server that stands knows that it announced."""
    if beginning and not _ID.fullmatch(beginning):
        raise InputError(
            f"{beginning!r} is no id of a chain, which is twelve digits of 0-9 and a-f, and no path"
            " of a table"
        )
    there = named(settings()) or found(settings())
    if there is None:
        return records.find(settings(), chain_id=beginning).chain, ()
    try:
        server = server_at(there, _WAITS)
        known = [one.chain_id for one in server.latest(beginning)]
        if len(known) > 1 and beginning:
            raise InputError(f"{len(known)} chains begin with {beginning!r}; give more digits")
        for one in known:
            events = traces.announced(server.events_of(one))
            if beginning or graph_of(Facts(events)).nodes:  # one that made nothing is not meant
                return one, events
    except ApiError:
        pass  # the home may know it
    return records.find(settings(), chain_id=beginning).chain, ()


def _write(path: Path, drawn: str) -> None:
    try:
        write_bytes(path, drawn.encode())
    except OSError as error:
        raise InputError(f"{path} cannot be written: {error.strerror}") from None


def trees(shown: Graph, marked: str = "") -> list[Tree]:
    """Trees of a graph: what was made from several things is told in full below the first.

    Parameters
    ----------
    shown : Graph
    marked : str, optional
        Id of the node that was asked for.
    """
    told: dict[str, Tree] = {}
    roots = []
    for node in shown.nodes:
        if not shown.before[node.id]:
            root = Tree(_said(node, node.id == marked))
            roots.append(root)
            _grow(root, node.id, shown, told, marked)
    return roots


def _grow(tree: Tree, node_id: str, shown: Graph, told: dict[str, Tree], marked: str) -> None:
    told[node_id] = tree
    for other in shown.after[node_id]:
        node = shown[other]
        if other in told:
            tree.add(f"[dim]{escape(node.title)} (above)[/]")
        elif _is_ready(other, shown, told):
            _grow(tree.add(_said(node, other == marked)), other, shown, told, marked)
        else:
            tree.add(f"[dim]{escape(node.title)} (below)[/]")


def _is_ready(node_id: str, shown: Graph, told: Mapping[str, Tree]) -> bool:
    """Whether all that it was made from was told."""
    return all(one in told for one in shown.before[node_id])


_COLOURS = {"source": "magenta", "model": "cyan", "decision": "green", "chain": "yellow"}


def _said(node: Node, is_marked: bool) -> str:
    colour = _COLOURS.get(node.kind.value, "bold" if is_marked else "")
    title = f"[{colour}]{escape(node.title)}[/]" if colour else escape(node.title)
    mark = " [bold]←[/]" if is_marked else ""
    note = f" [dim]{node.kind.value}{f', {escape(node.note)}' if node.note else ''}[/]"
    return f"{title}{note}{mark}"
