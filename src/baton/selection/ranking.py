"""From what candidates answered to the leaderboard and to what is to be trained."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from baton.models import Mixing
from baton.models.mixing import mixed
from baton.selection.choice import Choice, Ground, choose_blend, good_output
from baton.selection.leaderboard import Entry, Line, lines_of
from baton.selection.out_of_fold import Cost, OutOfFold
from baton.selection.portfolio import GOOD, Candidate
from baton.terms import Kind, Quality

ENSEMBLE = "ensemble"
_GOOD = "good"


@dataclass(frozen=True)
class Part:
    """One model of what is to be trained."""

    name: str
    family: str
    params: dict[str, Any]
    weight: float


@dataclass(frozen=True)
class Ranking:
    """Candidates in their order, and what is to be trained."""

    lines: tuple[Line, ...]
    members: tuple[Part, ...]
    mixing: Mixing


def rank(
    ground: Ground,
    candidates: Sequence[Candidate],
    answers: Mapping[str, OutOfFold],
    *,
    is_ensemble: bool = False,
    keeps: str | None = None,
) -> Ranking:
    """Rank candidates by what they answered out of fold.

    Parameters
    ----------
    ground : Ground
        The rows that all of them answered.
    candidates : sequence of Candidate
    answers : mapping of name to OutOfFold
    is_ensemble : bool
        Whether several may be trained together.
    keeps : str, optional
        Candidate that is trained unless another is better by more than noise; the first if not
        given.
    """
    entries = {
        one.name: Entry(
            one.name, one.family, one.params, answers[one.name].output, answers[one.name].cost
        )
        for one in candidates
    }
    if is_ensemble:
        return _with_ensemble(ground, candidates, entries)
    lines = lines_of(ground, list(entries.values()))
    return _of_one(lines, entries, _first(lines, keeps), _mixing(ground))


def answers_of(
    weights: Mapping[str, float], mixing: Mixing, answers: Mapping[str, OutOfFold]
) -> tuple[Any, Any]:
    """What candidates answer out of fold together, and to which rows: positions and answers.

    Parameters
    ----------
    weights : mapping of name to float
        Candidates, or `good` alone, which is `GOOD` together.
    mixing : Mixing
    answers : mapping of name to OutOfFold
    """
    outputs = {name: one.output for name, one in answers.items()}
    rows = next(iter(answers.values())).rows
    if set(weights) == {_GOOD}:
        kind = Kind.REGRESSION if mixing is Mixing.NUMBERS else Kind.CLASSIFICATION
        return rows, good_output(outputs, kind)
    return rows, mixed([outputs[name] for name in weights], list(weights.values()), mixing)


def _first(lines: Sequence[Line], keeps: str | None) -> str:
    kept = next((line for line in lines if line.candidate == keeps), None)
    return lines[0].candidate if kept is None or kept.is_behind else kept.candidate


def _mixing(ground: Ground) -> Mixing:
    return Mixing.NUMBERS if ground.kind is Kind.REGRESSION else Mixing.MARGINS


def _of_one(
    lines: Sequence[Line], entries: Mapping[str, Entry], name: str, mixing: Mixing
) -> Ranking:
    chosen = entries[name]
    marked = tuple(line.weighing(1.0 if line.candidate == name else 0.0) for line in lines)
    part = Part(chosen.name, chosen.family, dict(chosen.params), 1.0)
    return Ranking(marked, (part,), mixing)


def _with_ensemble(
    ground: Ground, candidates: Sequence[Candidate], entries: dict[str, Entry]
) -> Ranking:
    """Rank candidates, `good`, and what is chosen of them together."""
    outputs = {name: one.output for name, one in entries.items()}
    choice = choose_blend(ground, candidates, outputs)
    every = entries | {_GOOD: _good(ground, entries)}
    if set(choice.weights) == set(GOOD) and choice.is_even:
        lines = lines_of(ground, list(every.values()))
        return _of_one(lines, every, _GOOD, choice.mixing)
    parts = tuple(
        Part(name, entries[name].family, dict(entries[name].params), weight)
        for name, weight in choice.weights.items()
    )
    if len(parts) > 1:
        every[ENSEMBLE] = _together(ENSEMBLE, choice, entries)
    lines = lines_of(ground, list(every.values()))
    marked = tuple(line.weighing(choice.weights.get(line.candidate, 0.0)) for line in lines)
    return Ranking(marked, parts, choice.mixing)


def _good(ground: Ground, entries: Mapping[str, Entry]) -> Entry:
    outputs = {name: entries[name].output for name in GOOD}
    output = good_output(outputs, ground.kind)
    family = Quality.GOOD.family
    return Entry(_GOOD, family, {}, output, _sum(entries[name].cost for name in GOOD))


def _together(name: str, choice: Choice, entries: Mapping[str, Entry]) -> Entry:
    cost = _sum(entries[one].cost for one in choice.weights)
    return Entry(name, ENSEMBLE, {"mixing": choice.mixing.value}, choice.output, cost)


def _sum(costs: Iterable[Cost]) -> Cost:
    """Cost of several that each are fitted, kept and asked."""
    every = list(costs)
    return Cost(
        seconds=sum(one.seconds for one in every),
        fit_seconds=sum(one.fit_seconds for one in every),
        rows_per_second=float(1 / np.sum([1 / one.rows_per_second for one in every])),
        n_bytes=sum(one.n_bytes for one in every),
    )
