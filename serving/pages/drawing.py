"""The picture of a chain: where each stage stands, and which one hands on to which.

Pure functions. How it looks is in ``templates/parts/picture.html.jinja`` and ``static/pages.css``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from baton.chain.events import Stage
from baton.chain.manifest import PLAIN, Manifest
from baton.chain.runs import StageRun

_WIDTH, _HEIGHT = 148, 62
_GAP, _ROW = 44, 22
_MARGIN = 4


@dataclass(frozen=True)
class Box:
    """A stage in the picture."""

    run: StageRun
    column: int
    row: int

    @property
    def x(self) -> int:
        """Left end."""
        return _MARGIN + self.column * (_WIDTH + _GAP)

    @property
    def y(self) -> int:
        """Upper end."""
        return _MARGIN + self.row * (_HEIGHT + _ROW)

    @property
    def middle(self) -> int:
        """Height at which arrows come and go."""
        return self.y + _HEIGHT // 2


@dataclass(frozen=True)
class Picture:
    """Boxes, and the arrows between them."""

    boxes: tuple[Box, ...]
    arrows: tuple[tuple[Box, Box], ...]
    box_width: int = _WIDTH
    box_height: int = _HEIGHT

    @property
    def width(self) -> int:
        """Of all of it."""
        return max((one.x for one in self.boxes), default=0) + _WIDTH + _MARGIN

    @property
    def height(self) -> int:
        """Of all of it."""
        return max((one.y for one in self.boxes), default=0) + _HEIGHT + _MARGIN

    def path(self, arrow: tuple[Box, Box]) -> str:
        """Line of an arrow, as SVG has it."""
        before, after = arrow
        start, end = before.x + _WIDTH, after.x - 8
        half = (start + end) // 2
        bend = f"{half} {before.middle} {half} {after.middle}"
        return f"M{start} {before.middle}C{bend} {end} {after.middle}"


def picture(
    stages: Sequence[StageRun], manifest: Manifest, labels: Mapping[str, str] = PLAIN
) -> Picture:
    """Put each stage right of all those that may start it.

    Parameters
    ----------
    stages : sequence of StageRun
        In the order in which events start them.
    manifest : Manifest
    labels : mapping of str to str
        Of the chain's events.
    """
    own = {run.stage for run in stages}
    after = {one: _within(manifest.successors(one, labels), own) for one in own}
    columns = _columns([run.stage for run in stages], after)
    boxes: dict[Stage, Box] = {}
    for run in stages:
        column = columns[run.stage]
        row = sum(other.column == column for other in boxes.values())
        boxes[run.stage] = Box(run, column, row)
    arrows = [(boxes[one], boxes[other]) for one in boxes for other in after[one]]
    return Picture(tuple(boxes.values()), tuple(arrows))


def _within(stages: Iterable[Stage], own: set[Stage]) -> list[Stage]:
    return [stage for stage in stages if stage in own]


def _columns(order: Sequence[Stage], after: Mapping[Stage, Sequence[Stage]]) -> dict[Stage, int]:
    """Place of each stage from the left: one further than the furthest that may start it."""
    found = dict.fromkeys(order, 0)
    for stage in order:
        for other in after[stage]:
            found[other] = max(found[other], found[stage] + 1)
    return found
