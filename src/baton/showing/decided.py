"""What the gate decided, put into the report of the chain that it was about.

The report is drawn before anything is decided; it keeps a place for this.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from baton.chain.decisions import Decision, Outcome
from baton.showing.report import render_page
from baton.words.text import number

_PLACE = "<!-- decision -->"

_COLUMNS = ("rows held out for", "metric", "champion", "challenger", "better by", "rows")


@dataclass(frozen=True)
class Decided:
    """A decision as a page shows it."""

    heading: str
    reason: str
    lines: tuple[tuple[str, ...], ...]
    columns: tuple[str, ...] = _COLUMNS


def with_decision(html: str, decision: Decision) -> str:
    """Return the report with the decision on its first screen.

    Parameters
    ----------
    html : str
        Of a report without one; a report that keeps no place for it is returned as it is.
    decision : Decision
    """
    drawn = render_page("decision.html.jinja", found=_decided(decision))
    return html.replace(_PLACE, drawn, 1)


def _decided(decision: Decision) -> Decided:
    if decision.outcome is not Outcome.PROMOTED:
        heading = f"Not promoted: {_champion(decision)}"
    elif decision.champion == decision.version:
        heading = f"Promoted: version {decision.version} is the champion"
    else:
        heading = f"Promoted: {_champion(decision)}"
    return Decided(heading, decision.reason, tuple(_lines(json.loads(decision.evidence or "{}"))))


def _champion(decision: Decision) -> str:
    if decision.champion is None:
        return "there is no champion"
    return f"version {decision.champion} stays the champion"


def _lines(evidence: dict[str, Any]) -> Iterator[tuple[str, ...]]:
    """One line for each comparison that was made."""
    of = {"paired": "this model", "earlier": "the champion", "guarded": "this model"}
    for name, whose in of.items():
        if one := evidence.get(name):
            gain = f"{number(one['gain'])} ({number(one['low'])} to {number(one['high'])})"
            values = (one["champion"], one["challenger"])
            yield (whose, one["metric"], *map(number, values), gain, f"{one['n_rows']:,}")
