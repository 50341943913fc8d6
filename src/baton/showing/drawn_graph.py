"""The picture of what came of what, as SVG: by itself in a file, or as part of a page.

What is in it is ``baton.chain.graph``'s, where it stands ``layered``'s.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from baton.showing.layered import Point, Size, placed
from baton.showing.report import render_page
from baton.words.text import elide

if TYPE_CHECKING:
    from baton.chain.graph import Edge, Graph, Node

_SIZE = Size()
_LONGEST_TITLE, _LONGEST_NOTE = 20, 24
_POINT = 7.0
"""Length of the point of an arrow."""


@dataclass(frozen=True)
class Box:
    """A node in the picture."""

    node: Node
    x: float
    y: float
    link: str
    is_marked: bool
    """Whether it is what was asked for."""

    @property
    def title(self) -> str:
        """What it is, as far as there is room."""
        return elide(self.node.title, _LONGEST_TITLE)

    @property
    def note(self) -> str:
        """More of it, as far as there is room."""
        note = f"{self.node.kind.value}, {self.node.note}" if self.node.note else self.node.kind
        return elide(note, _LONGEST_NOTE)


@dataclass(frozen=True)
class Line:
    """An edge in the picture."""

    edge: Edge
    path: str
    """As SVG has it."""


@dataclass(frozen=True)
class Picture:
    """Boxes, and the lines between them."""

    boxes: tuple[Box, ...]
    lines: tuple[Line, ...]
    width: float
    height: float
    size: Size = _SIZE

    @property
    def said(self) -> str:
        """What is drawn, in words."""
        return f"{len(self.boxes)} things, and what each was made from"


def picture(graph: Graph, links: Mapping[str, str] | None = None, marked: str = "") -> Picture:
    """Place a graph.

    Parameters
    ----------
    graph : Graph
    links : mapping of str to str, optional
        Where a node leads to, by its id.
    marked : str, optional
        Id of the node that was asked for.
    """
    known = links or {}
    found = placed([one.id for one in graph.nodes], [(e.begin, e.end) for e in graph.edges], _SIZE)
    boxes = tuple(
        Box(one, *found.boxes[one.id], known.get(one.id, ""), one.id == marked)
        for one in graph.nodes
    )
    lines = tuple(Line(one, curve(found.lines[one.begin, one.end])) for one in graph.edges)
    return Picture(boxes, lines, found.width, found.height)


def curve(points: Sequence[Point]) -> str:
    """Line through points that leaves and reaches each of them level.

    Examples
    --------
    >>> curve([(0, 0), (57, 20)])
    'M0 0C25 0 25 20 50 20'
    """
    (x, y), *others = points
    last = (others[-1][0] - _POINT, others[-1][1])
    parts = [f"M{x:g} {y:g}"]
    for right, height in [*others[:-1], last]:
        half = (x + right) / 2
        parts.append(f"C{half:g} {y:g} {half:g} {height:g} {right:g} {height:g}")
        x, y = right, height
    return "".join(parts)


def as_svg(graph: Graph, links: Mapping[str, str] | None = None, marked: str = "") -> str:
    """Draw a graph as a file of its own, that asks for nothing and runs no script.

    Parameters
    ----------
    graph : Graph
    links : mapping of str to str, optional
        Where a node leads to, by its id.
    marked : str, optional
        Id of the node that was asked for.
    """
    return render_page("graph.svg.jinja", picture=picture(graph, links, marked), is_alone=True)


def drawn(graph: Graph, links: Mapping[str, str] | None = None, marked: str = "") -> str:
    """Draw a graph as a part of a page, whose style it has."""
    return render_page("graph.svg.jinja", picture=picture(graph, links, marked), is_alone=False)
