"""The picture of the chain: prefect.yaml as an SVG that follows the page's colours.

A pure function of the manifest. Stages are boxes, layer below layer in the order in which events
start them; an event is an arrow with its name, dashed where the trigger asks for more than the
event; an event that nobody waits for ends in a dot, a schedule is a line with a clock.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from html import escape

from baton.chain.manifest import EMITTED_BY, Manifest, Schedule

_BOX = 210
_COLUMN = 290
_GAP = 84
_LANE = 16
_LINE = 18
_MARGIN = 14
_TEXT = 7.3
"""Width of a letter at the size of an event's name."""
_WRAP = 34


@dataclass(frozen=True)
class Arrow:
    """An event on its way from the stage that announces it."""

    source: str
    target: str
    """Stage that it starts; ``event:…`` if it starts none."""
    event: str
    condition: str = ""
    """What the trigger asks of the event beyond its name."""


@dataclass
class Box:
    """A stage, or the dot in which an event ends, and where it is drawn."""

    name: str
    lines: list[str] = field(default_factory=list)
    x: float = 0
    y: float = 0

    @property
    def is_stage(self) -> bool:
        """Whether it is a stage and no dot."""
        return ":" not in self.name

    @property
    def height(self) -> float:
        """Height in pixels."""
        return 34 + _LINE * len(self.lines) if self.is_stage else 8

    @property
    def middle(self) -> float:
        """Horizontal middle."""
        return self.x + _BOX / 2

    @property
    def bottom(self) -> float:
        """Lower edge."""
        return self.y + self.height


def draw(chain: Manifest) -> str:
    """Return the chain as an inline SVG.

    Parameters
    ----------
    chain : Manifest

    Returns
    -------
    str
        SVG with a title and a description; its colours are those of the page around it.
    """
    boxes = _boxes(chain)
    arrows = _arrows(chain)
    for end in (a.target for a in arrows):
        boxes.setdefault(end, Box(end))
    returning = _returning(list(boxes), arrows)
    layers = _layers(list(boxes), [a for a in arrows if a not in returning])
    passing = [a for a in arrows if layers[a.target] > layers[a.source] + 1]
    left = _MARGIN + (_lanes(passing) if passing else 0)
    right = _place(boxes, arrows, layers, left, returning)
    parts = [_box(box) for box in boxes.values()]
    for arrow in arrows:
        source, target = boxes[arrow.source], boxes[arrow.target]
        if arrow in passing:
            lane = left - _LANE * (1 + passing.index(arrow))
            parts.append(_around(arrow, source, target, lane, is_left=True))
        elif arrow in returning:
            lane = right + _LANE * (1 + returning.index(arrow))
            parts.append(_around(arrow, source, target, lane, is_left=False))
        else:
            parts.append(_down(arrow, source, target))
    ends = [boxes[a.target].middle + _LANE + _width(a) for a in arrows if a not in passing]
    ends += [right + _lanes(returning)] if returning else []
    width = max([*(box.x + _BOX for box in boxes.values()), *ends]) + _MARGIN
    height = max(box.bottom for box in boxes.values()) + _MARGIN
    return _document(width, height, parts, _described(boxes, arrows))


# --- what is drawn --------------------------------------------------------------------------------


def _boxes(chain: Manifest) -> dict[str, Box]:
    """Stages by name: with the problems they are deployed for, and their schedules."""
    boxes: dict[str, Box] = {}
    for name in dict.fromkeys(deployment.flow_name for deployment in chain.deployments):
        own = [d for d in chain.deployments if d.flow_name == name]
        problems = [d.name.removeprefix(f"{name}-") for d in own if d.name != name]
        lines = textwrap.wrap(", ".join(problems), _WRAP)
        for deployment in own:
            which = deployment.name.removeprefix(name).lstrip("-")
            times = [_time(s) for s in deployment.schedules if s.active]
            lines += [f"◷ {' '.join(filter(None, [which, time]))}" for time in times]
        boxes[name] = Box(name, lines)
    return boxes


def _time(schedule: Schedule) -> str:
    return schedule.cron or f"every {schedule.interval:g} s"


def _arrows(chain: Manifest) -> list[Arrow]:
    """Every event to every stage that it starts, or to its end."""
    stages = {deployment.flow_name for deployment in chain.deployments}
    arrows = []
    for event, emitter in EMITTED_BY.items():
        if emitter.value not in stages:
            continue
        found = [
            Arrow(emitter.value, d.flow_name, event.value, _condition(t.match.labels))
            for d in chain.deployments
            for t in d.triggers
            if t.enabled and event in t.expect
        ]
        arrows += found or [Arrow(emitter.value, f"event:{event.value}", event.value)]
    return list(dict.fromkeys(arrows))


def _condition(labels: Mapping[str, str]) -> str:
    return ", ".join(f"{key}: {value}" for key, value in labels.items())


# --- where it is drawn ----------------------------------------------------------------------------


def _returning(names: Iterable[str], arrows: Sequence[Arrow]) -> list[Arrow]:
    """Arrows that close a circle, seen from the stages in the order of prefect.yaml."""
    found: list[Arrow] = []
    done: set[str] = set()

    def visit(name: str, path: tuple[str, ...]) -> None:
        for arrow in (one for one in arrows if one.source == name):
            if arrow.target in path:
                found.append(arrow)
            elif arrow.target not in done:
                visit(arrow.target, (*path, arrow.target))
        done.add(name)

    for name in names:
        if name not in done:
            visit(name, (name,))
    return found


def _layers(names: Sequence[str], arrows: Sequence[Arrow]) -> dict[str, int]:
    """Layer of each box: below all that lead to it; no arrows that close a circle are wanted."""
    layers = dict.fromkeys(names, 0)
    for _ in names:
        for arrow in arrows:
            layers[arrow.target] = max(layers[arrow.target], layers[arrow.source] + 1)
    return layers


def _components(names: Sequence[str], arrows: Iterable[Arrow]) -> list[list[str]]:
    """Boxes that arrows connect, the most connected first."""
    group = {name: {name} for name in names}
    for arrow in arrows:
        joined = group[arrow.source] | group[arrow.target]
        group |= dict.fromkeys(joined, joined)
    unique = {id(members): members for members in group.values()}
    ordered = [[name for name in names if name in members] for members in unique.values()]
    return sorted(ordered, key=lambda members: -len(members))


def _place(
    boxes: dict[str, Box],
    arrows: Sequence[Arrow],
    layers: Mapping[str, int],
    left: float,
    returning: Sequence[Arrow],
) -> float:
    """Give every box its place, and return where the largest chain ends.

    That chain has the first columns; the small ones stand below each other in one beside it.
    """
    largest, *others = _components(list(boxes), arrows)
    right = _place_chain([boxes[name] for name in largest], layers, left, _MARGIN)
    right += _COLUMN - _BOX  # an event's name may reach beyond its box
    beside = right + (_lanes(returning) + _LANE if returning else 0)
    top = float(_MARGIN)
    for members in others:
        found = [boxes[name] for name in members]
        _place_chain(found, layers, beside, top)
        top = max(box.bottom for box in found) + 2 * _LINE
    return right


def _place_chain(
    members: Sequence[Box], layers: Mapping[str, int], left: float, top: float
) -> float:
    right = left
    for layer in sorted({layers[box.name] for box in members}):
        row = [box for box in members if layers[box.name] == layer]
        for place, box in enumerate(row):
            box.x, box.y = left + _COLUMN * place, top
        right = max(right, row[-1].x + _BOX)
        top = max(box.bottom for box in row) + _GAP
    return right


def _lanes(arrows: Sequence[Arrow]) -> float:
    """Room for arrows that pass beside the boxes, and for their names."""
    return _LANE * (len(arrows) + 1) + max(map(_width, arrows))


def _width(arrow: Arrow) -> float:
    return _TEXT * max(len(arrow.event), len(arrow.condition))


# --- how it is drawn ------------------------------------------------------------------------------


def _box(box: Box) -> str:
    if not box.is_stage:
        return f'<circle class="end" cx="{box.middle:g}" cy="{box.y + 4:g}" r="4"/>'
    frame = (
        f'<rect x="{box.x:g}" y="{box.y:g}" width="{_BOX}" height="{box.height:g}" rx="6"/>'
        f'<text class="stage" x="{box.middle:g}" y="{box.y + 22:g}">{escape(box.name)}</text>'
    )
    lines = [
        f'<text class="small" x="{box.middle:g}" y="{box.y + 42 + _LINE * n:g}">'
        f"{escape(line)}</text>"
        for n, line in enumerate(box.lines)
    ]
    return f"<g>{frame}{''.join(lines)}</g>"


def _down(arrow: Arrow, source: Box, target: Box) -> str:
    """Arrow to the next layer; across first where the columns differ."""
    bend = target.y - _GAP / 2 - 14
    path = f"M{source.middle:g},{source.bottom:g}V{target.y - 2:g}"
    if source.middle != target.middle:
        path = f"M{source.middle:g},{source.bottom:g}V{bend:g}H{target.middle:g}V{target.y - 2:g}"
    return _arrow(arrow, path, target.middle + 10, target.y - _GAP / 2 + 6, "start")


def _around(arrow: Arrow, source: Box, target: Box, lane: float, *, is_left: bool) -> str:
    """Arrow beside the boxes between: down at the left, back up at the right."""
    edge = 0 if is_left else _BOX
    begin, end = source.bottom - 10, target.y + 12
    tip = target.x + edge + (-2 if is_left else 2)
    path = f"M{source.x + edge:g},{begin:g}H{lane:g}V{end:g}H{tip:g}"
    middle = (begin + end) / 2
    return _arrow(arrow, path, lane + (-8 if is_left else 8), middle, "end" if is_left else "start")


def _arrow(arrow: Arrow, path: str, x: float, y: float, anchor: str) -> str:
    dashed = ' stroke-dasharray="6 4"' if arrow.condition else ""
    marker = "" if ":" in arrow.target else ' marker-end="url(#chain-tip)"'
    said = [("event", arrow.event), ("asked", arrow.condition)]
    texts = "".join(
        f'<text class="{kind}" text-anchor="{anchor}" x="{x:g}" y="{y + 15 * n:g}">'
        f"{escape(text)}</text>"
        for n, (kind, text) in enumerate(said)
        if text
    )
    return f'<path class="arrow" d="{path}"{marker}{dashed}/>{texts}'


_STYLE = """
.chain { max-width: 100%; height: auto; font-family: inherit; color: inherit; }
.chain rect { fill: var(--color-background-secondary, none);
  stroke: var(--color-foreground-secondary, currentColor); stroke-width: 1.2; }
.chain text { fill: var(--color-foreground-primary, currentColor); font-size: 13px; }
.chain .stage { font-size: 15px; font-weight: 600; text-anchor: middle; }
.chain .small { text-anchor: middle; }
.chain .small, .chain .asked { font-size: 12px;
  fill: var(--color-foreground-secondary, currentColor); }
.chain .event { font-family: var(--font-stack--monospace, monospace); font-size: 12px; }
.chain .arrow { fill: none; stroke: var(--color-brand-content, currentColor); stroke-width: 1.6; }
.chain .end, .chain marker path { fill: var(--color-brand-content, currentColor); }
"""


def _document(width: float, height: float, parts: Iterable[str], description: str) -> str:
    tip = (
        '<defs><marker id="chain-tip" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="7" '
        'markerHeight="7" orient="auto"><path d="M0,0L10,5L0,10z"/></marker></defs>'
    )
    return (
        f'<svg class="chain" xmlns="http://www.w3.org/2000/svg" width="{width:.0f}" '
        f'viewBox="0 0 {width:.0f} {height:.0f}" role="img" '
        'aria-labelledby="chain-title chain-description">'
        '<title id="chain-title">The chain</title>'
        f'<desc id="chain-description">{escape(description)}</desc>'
        f"<style>{_STYLE}</style>{tip}{''.join(parts)}</svg>"
    )


def _described(boxes: Mapping[str, Box], arrows: Iterable[Arrow]) -> str:
    """The same in sentences."""
    said = [f"Stages: {', '.join(name for name, box in boxes.items() if box.is_stage)}."]
    for arrow in arrows:
        does = f"starts {arrow.target}" if boxes[arrow.target].is_stage else "starts nothing"
        when = f" if {arrow.condition}" if arrow.condition else ""
        said.append(f"{arrow.event}, announced by {arrow.source}, {does}{when}.")
    return " ".join(said)
