"""The picture of what drove an answer: where each bar stands, and where the scale does.

Pure functions. How it looks is in ``templates/parts/answer.html.jinja``.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

WIDTH = 660
_LEFT, _RIGHT = 215, 72
"""Room for names, and for what stands beside the last bar."""
_TOP, _ROW, _BAR, _BOTTOM = 26, 30, 20, 26
_HEAD = 6
"""Length of the point of an arrow."""


@dataclass(frozen=True)
class Bar:
    """A step of the picture."""

    feature: str
    value: str
    push: float
    y: float
    points: str
    """Corners of the arrow, as SVG has them."""
    end: float
    """Where its number stands."""
    is_right: bool

    @property
    def middle(self) -> float:
        """Height of its texts."""
        return self.y + _BAR / 2

    @property
    def anchor(self) -> str:
        """On which side of the end the number stands."""
        return "start" if self.is_right else "end"


@dataclass(frozen=True)
class Drawn:
    """The picture."""

    bars: tuple[Bar, ...]
    base: float
    """Where the mean output stands."""
    total: float
    links: tuple[tuple[float, float, float], ...]
    """Lines from a bar to the next: place, upper and lower end."""
    height: float
    width: float = WIDTH
    left: float = _LEFT
    top: float = _TOP

    @property
    def floor(self) -> float:
        """Height at which the scale stands."""
        return self.height - _BOTTOM


def drawn(waterfall: Mapping[str, Any]) -> Drawn:
    """Put each step below the one before.

    Parameters
    ----------
    waterfall : mapping
        As the clerk has it: `baton.showing.waterfall.Waterfall`.
    """
    steps = waterfall["steps"]
    at = _scale([waterfall["base"], waterfall["total"], *(one["end"] for one in steps)])
    bars = tuple(_bar(one, place, at) for place, one in enumerate(steps))
    links = tuple(
        (at(one["end"]), bars[place].y, bars[place].y + _ROW + _BAR)
        for place, one in enumerate(steps[:-1])
    )
    height = _TOP + _ROW * len(steps) + _BOTTOM
    return Drawn(bars, at(waterfall["base"]), at(waterfall["total"]), links, height)


def _scale(ends: Sequence[float]) -> Callable[[float], float]:
    """Where values stand, with room for numbers beside both ends of the bars."""
    low, high = min(ends), max(ends)
    per_unit = (WIDTH - _LEFT - 2 * _RIGHT) / ((high - low) or 1.0)
    return lambda value: round(_LEFT + _RIGHT + (value - low) * per_unit, 1)


def _bar(step: Mapping[str, Any], place: int, at: Callable[[float], float]) -> Bar:
    begin, end, y = at(step["begin"]), at(step["end"]), _TOP + place * _ROW
    is_right = step["push"] >= 0
    number = end + 6 if is_right else end - 6
    points = arrow(begin, end, y)
    return Bar(step["feature"], step["value"], step["push"], y, points, number, is_right)


def arrow(begin: float, end: float, y: float) -> str:
    """Corners of a bar that points from its begin to its end.

    Examples
    --------
    >>> arrow(100, 120, 0)
    '100,0 114,0 120,10 114,20 100,20'
    >>> arrow(120, 119, 0)
    '120,0 119,10 120,20'
    """
    length = abs(end - begin)
    neck = math.copysign(max(length - _HEAD, 0), end - begin) + begin
    top, bottom, middle = y, y + _BAR, y + _BAR / 2
    shaft = length > _HEAD
    corners = [(begin, top), *([(neck, top)] if shaft else []), (end, middle)]
    corners += [*([(neck, bottom)] if shaft else []), (begin, bottom)]
    return " ".join(f"{x:g},{height:g}" for x, height in corners)
