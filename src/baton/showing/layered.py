"""Where the boxes of a graph stand: each right of all that it came from, lines crossing little.

Pure functions. What is drawn there belongs in ``drawn_graph``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

_SWEEPS = 6

Point = tuple[float, float]


@dataclass(frozen=True)
class Size:
    """Of a box, and of the room between boxes."""

    width: float = 176
    height: float = 46
    gap: float = 44
    """Between columns."""
    row_gap: float = 14
    margin: float = 6


@dataclass(frozen=True)
class Placed:
    """Where everything stands."""

    boxes: Mapping[str, Point]
    """Upper left corner of each box."""
    lines: Mapping[tuple[str, str], tuple[Point, ...]]
    """Points that each line goes by, from box to box."""
    width: float
    height: float


def placed(
    names: Sequence[str], links: Iterable[tuple[str, str]], size: Size | None = None
) -> Placed:
    """Place boxes in columns, by the longest way that leads to each.

    A line over several columns goes between the boxes of those in the middle, as if it had a small
    one there.

    Parameters
    ----------
    names : sequence of str
        Each after all that it came from.
    links : iterable of (str, str)
        From one to another that came from it.
    size : Size, optional
    """
    size, known = size or Size(), list(links)
    columns = _columns(names, known)
    ways = {link: _way(link, columns) for link in known}
    layers = _layers(names, columns, ways)
    _untangle(layers, [step for way in ways.values() for step in pairwise(way)])
    tops = _tops(layers, size)
    left = {name: size.margin + columns[name] * (size.width + size.gap) for name in names}
    boxes = {name: (left[name], tops[name]) for name in names}
    lines = {link: tuple(_points(way, boxes, tops, size)) for link, way in ways.items()}
    width = max((x for x, _ in boxes.values()), default=0) + size.width + size.margin
    ends = [tops[one] + _height(one, size) for layer in layers for one in layer]
    return Placed(boxes, lines, width, max(ends, default=0) + size.margin)


def _columns(names: Iterable[str], links: Iterable[tuple[str, str]]) -> dict[str, int]:
    """Column of each box: one further than the furthest that it came from."""
    found: dict[str, int] = {}
    before: dict[str, list[str]] = {}
    for begin, end in links:
        before.setdefault(end, []).append(begin)
    for name in names:
        found[name] = max(
            (found[one] + 1 for one in before.get(name, ()) if one in found), default=0
        )
    return found


_Stop = str | tuple[str, str, int]
"""A box, or the place of a line in a column."""


def _way(link: tuple[str, str], columns: Mapping[str, int]) -> list[_Stop]:
    begin, end = link
    between: list[_Stop] = [(begin, end, n) for n in range(columns[begin] + 1, columns[end])]
    return [begin, *between, end]


def _layers(
    names: Iterable[str],
    columns: Mapping[str, int],
    ways: Mapping[tuple[str, str], Sequence[_Stop]],
) -> list[list[_Stop]]:
    layers: list[list[_Stop]] = [[] for _ in range(max(columns.values(), default=-1) + 1)]
    for name in names:
        layers[columns[name]].append(name)
    for way in ways.values():
        for stop in way:
            if isinstance(stop, tuple):
                layers[stop[2]].append(stop)
    return layers


def _untangle(layers: list[list[_Stop]], steps: Iterable[tuple[_Stop, _Stop]]) -> None:
    """Order each column by the middle of what its boxes hang together with, to and fro."""
    before: dict[_Stop, list[_Stop]] = {}
    after: dict[_Stop, list[_Stop]] = {}
    for begin, end in steps:
        before.setdefault(end, []).append(begin)
        after.setdefault(begin, []).append(end)
    for sweep in range(_SWEEPS):
        is_back = sweep % 2 == 1
        order = list(reversed(layers)) if is_back else layers
        for fixed, moved in pairwise(order):
            _sort(moved, fixed, after if is_back else before)


def _sort(moved: list[_Stop], fixed: Sequence[_Stop], links: Mapping[_Stop, list[_Stop]]) -> None:
    places = {one: place for place, one in enumerate(fixed)}
    own = {one: place for place, one in enumerate(moved)}

    def middle(one: _Stop) -> float:
        found = [places[other] for other in links.get(one, ()) if other in places]
        return sum(found) / len(found) if found else own[one]

    moved.sort(key=middle)


def _height(stop: _Stop, size: Size) -> float:
    return size.height if isinstance(stop, str) else 0.0


def _tops(layers: Sequence[Sequence[_Stop]], size: Size) -> dict[_Stop, float]:
    """Upper end of everything, each column in the middle of the highest one."""
    heights = [
        sum(_height(one, size) for one in layer) + size.row_gap * max(len(layer) - 1, 0)
        for layer in layers
    ]
    tallest, found = max(heights, default=0.0), {}
    for layer, height in zip(layers, heights, strict=True):
        top = size.margin + (tallest - height) / 2
        for one in layer:
            found[one] = round(top, 1)
            top += _height(one, size) + size.row_gap
    return found


def _points(
    way: Sequence[_Stop],
    boxes: Mapping[str, Point],
    tops: Mapping[_Stop, float],
    size: Size,
) -> Iterable[Point]:
    """Points of a line: out of a box, through the columns between, into another box."""
    begin, end = str(way[0]), str(way[-1])
    yield boxes[begin][0] + size.width, tops[begin] + size.height / 2
    for stop in way[1:-1]:
        left = size.margin + stop[2] * (size.width + size.gap)  # type: ignore[operator]
        yield left, tops[stop]
        yield left + size.width, tops[stop]
    yield boxes[end][0], tops[end] + size.height / 2
