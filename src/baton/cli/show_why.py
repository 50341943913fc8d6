"""What the commands that say why print: a tree of causes, a table of times, a list of checks."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text
from rich.tree import Tree

from baton.chain.causes import Diagnosis
from baton.chain.origins import PHASES, Account, Occurrence, Story
from baton.cli.show import COLOURS
from baton.words.text import elide

Json = dict[str, Any]

_SHORT = 100
"""Letters of a payload that a line has room for."""
_SCALARS = (str, int, float, bool)
_EXPECTED = {"COMPLETED", "RUNNING", "SCHEDULED", "PENDING"}
"""States of which the message says nothing more."""


def story_facts(told: Story) -> Json:
    """What started what, ready for JSON: payloads are whole."""
    longest = told.longest
    run, phase = longest if longest else (None, "")
    most = {"flow_run_id": run.flow_run_id, "phase": phase} if run else None
    return told.model_dump(mode="json") | {
        "began": told.began.isoformat() if told.began else None,
        "ended": told.ended.isoformat() if told.ended else None,
        "seconds": told.seconds,
        "longest": most,
    }


def story(console: Console, told: Story) -> None:
    """Print what started what, and where the time went."""
    if not told.runs:
        console.print(f"no stage of {told.subject} has run yet", highlight=False, soft_wrap=True)
        return
    about = next((one.problem for one in told.runs if one.problem), "")
    tree = Tree(Text(" · ".join(filter(None, [told.subject, about])), style="bold"))
    inside = {one.flow_run_id for one in told.runs}
    for one in told.runs:
        if one.origin.run not in inside:
            _add(tree, one, told)
    console.print(tree)
    console.print(_times(told))
    if told.longest and told.began and told.ended:
        run, phase = told.longest
        whole = (told.ended - told.began).total_seconds()
        said = f"{whole:.1f} s from the beginning to the end; longest: {run.flow}, {PHASES[phase]}"
        console.print(f"{said}, {run.seconds[phase]:.1f} s", highlight=False, soft_wrap=True)


def _add(tree: Tree, one: Account, told: Story) -> None:
    """Add a run, and below it what its events started."""
    node = tree.add(_described(one, told))
    for other in told.runs:
        if other.origin.run == one.flow_run_id:
            _add(node, other, told)
    followed = {other.origin.event_id for other in told.runs}
    for event in told.events:
        if event.run == one.flow_run_id and event.id not in followed:
            node.add(Text(_unfollowed(event), overflow="fold"))


def _unfollowed(event: Occurrence) -> str:
    """An event that started no run of those that are told of."""
    said = f"{event.event}{_at(event)}"
    if event.begins:
        return f"{said} began chain {event.begins}: `baton why {event.begins}`"
    started = f"started run {', '.join(event.starts)}" if event.starts else "started nothing"
    return f"{said} {started}"


def _at(event: Occurrence) -> str:
    return f" at {event.occurred.astimezone():%H:%M:%S}" if event.occurred else ""


def _described(one: Account, told: Story) -> Text:
    """A run, what started it, and with which payload."""
    colour = COLOURS.get(one.state, "dim")
    again = f", begun {one.n_begun} times" if one.n_begun > 1 else ""
    event = next((e for e in told.events if e.id == one.origin.event_id), None)
    cause = _cause_of(one, event)
    lines = [
        Text.assemble((one.flow, "bold"), " ", (one.state.lower(), colour), f"{again}, {cause}"),
        Text(f"run {one.flow_run_id}"),
    ]
    if event:
        lines.append(Text(shortened(event.payload), style="dim"))
    if one.message and one.state not in _EXPECTED:
        lines.append(Text(one.message))
    return Text("\n", overflow="fold").join(lines)


def _cause_of(one: Account, event: Occurrence | None) -> str:
    match one.origin.kind:
        case "event" if event:
            of = f" of chain {event.chain}" if event.chain != one.chain else ""
            return f"by {event.event}{of}{_at(event)} ({one.origin.automation})"
        case "event":
            return f"by an event that the server has forgotten ({one.origin.automation})"
        case "schedule":
            return "by its schedule"
        case "run":
            return "as a part of it"
    return "by a person or a program"


def shortened(payload: Json, most: int = _SHORT) -> str:
    """Write as much of a payload as a line has room for: what is no object first.

    Examples
    --------
    >>> shortened({"problem": "iris", "raw": {"key": "a"}, "n_train": 120})
    'problem=iris, n_train=120, … 1 more'
    """
    simple = [f"{k}={elide(v)}" for k, v in payload.items() if isinstance(v, _SCALARS) and v != ""]
    shown: list[str] = []
    for one in simple:
        if len(", ".join([*shown, one])) > most:
            break
        shown.append(one)
    n_left = len(payload) - len(shown)
    return ", ".join([*shown, *([f"… {n_left} more"] if n_left else [])])


def _times(told: Story) -> Table:
    """Seconds of each phase of each run."""
    table = Table(title="where the time went, in seconds", title_justify="left")
    table.add_column("run", no_wrap=True)
    for phase in told.seconds:
        table.add_column(PHASES[phase], justify="right")
    table.add_column("all", justify="right")
    for one in told.runs:
        table.add_row(escape(one.flow), *_cells(told.seconds, one.seconds))
    if len(told.runs) > 1:
        table.add_section()
        table.add_row("all", *_cells(told.seconds, told.seconds))
    return table


def _cells(phases: Iterable[str], seconds: dict[str, float]) -> list[str]:
    shown = [f"{seconds[phase]:.2f}" if phase in seconds else "" for phase in phases]
    return [*shown, f"{sum(seconds.values()):.2f}"]


def diagnosis(console: Console, found: Diagnosis) -> None:
    """Print what is missing in one line, and what was looked at."""
    colour = "green" if found.has_run else "yellow"
    console.print(found.headline, style=colour, markup=False, highlight=False, soft_wrap=True)
    for check in found.checks:
        mark = "[green]✓[/]" if check.is_met else "[red]✗[/]"
        console.print(f"  {mark} {escape(check.what)}", highlight=False, soft_wrap=True)
