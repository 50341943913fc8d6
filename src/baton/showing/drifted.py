"""How far new rows are from what was learned from, as one page.

Computing it belongs in ``baton.monitoring``, writing the file in ``tasks/``.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from baton.monitoring.drift import ColumnDrift, Drift
from baton.showing.plots.drift import before_and_now, told_by
from baton.showing.report import Image, render_page
from baton.words.text import number, percent

_MOVED = 4
"""Columns that are drawn where none drifted."""

_SHOWN = 30
"""Columns whose lines are open; the others are a click away."""


@dataclass(frozen=True)
class DriftPage:
    """What the page says."""

    drift: Drift
    title: str
    facts: dict[str, str]
    decision: str

    @property
    def heading(self) -> str:
        """The verdict in a word or two."""
        if self.drift.is_drifted:
            return "Drift"
        return "No drift" if self.drift.has_verdict else "No verdict"

    @property
    def sentence(self) -> str:
        """The reason, as a sentence."""
        return f"{self.drift.reason[:1].upper()}{self.drift.reason[1:]}."

    @cached_property
    def judged(self) -> tuple[ColumnDrift, ...]:
        """Columns that may be an alarm."""
        return tuple(one for one in self.drift.columns if not one.says_date)

    @property
    def first(self) -> tuple[ColumnDrift, ...]:
        """Those of them whose lines are open."""
        return self.judged[:_SHOWN]

    @property
    def further(self) -> tuple[ColumnDrift, ...]:
        """The others."""
        return self.judged[_SHOWN:]

    @property
    def dated(self) -> tuple[ColumnDrift, ...]:
        """Columns that say the date."""
        return tuple(one for one in self.drift.columns if one.says_date)

    @cached_property
    def pictures(self) -> tuple[Image, ...]:
        """The columns that moved most: those that drifted, or a few if none did."""
        shown = self.drift.drifted or self.judged[:_MOVED]
        return (Image.of(before_and_now(shown)),) if shown else ()

    @cached_property
    def classifier(self) -> Image | None:
        """What the classifier goes by, if it was asked and goes by anything."""
        return Image.of(told_by(self.drift)) if self.drift.told_by else None

    @property
    def auc(self) -> str:
        """How well the classifier tells the rows apart, in a sentence."""
        return (
            f"Trees that are shown training rows and new rows tell them apart with a ROC AUC of"
            f" {self.drift.auc:.2f}, on rows that they did not learn from; where both are alike it"
            f" is 0.50 ± {self.drift.auc_noise:.2f}."
        )

    @staticmethod
    def cells(column: ColumnDrift) -> tuple[str, ...]:
        """Numbers of a column's line."""
        return (
            _index(column.psi),
            _index(column.psi_by_chance),
            _chance(column.p_adjusted),
            percent(column.missing_before),
            percent(column.missing_now),
            percent(column.unknown_now),
        )


def _index(value: float) -> str:
    return f"{value:.3f}" if value < 10 else number(value)


def _chance(p: float) -> str:
    return "< 1e-9" if p < 1e-9 else number(p, 2)


def drift_page(drift: Drift, *, title: str, facts: dict[str, str], decision: str = "") -> str:
    """Render a drift as one HTML page without scripts, links or requests.

    Parameters
    ----------
    drift : Drift
    title : str
        What was watched.
    facts : dict of str to str
        What else to say at the top, name and value.
    decision : str
        What was decided of it, in a sentence.

    Returns
    -------
    str
        The page, every text of the caller escaped.
    """
    return render_page("drifted.html.jinja", page=DriftPage(drift, title, facts, decision))
