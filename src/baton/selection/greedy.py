"""Greedy selection of an ensemble from what candidates answered out of fold.

Caruana, Niculescu-Mizil, Crew, Ksikes (2004), Ensemble selection from libraries of models, ICML.
It begins with an ensemble that is known to be good and adds, with replacement, the candidate that
helps most; how often, cross-validation over the rows says: on few rows an ensemble fits noise.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from baton.models.mixing import Mixing, scaled, unscaled

if TYPE_CHECKING:
    Array = np.ndarray[Any, np.dtype[Any]]
    Score = Callable[[Array, Array], float]

MOST_STEPS = 12
N_PARTS = 5
_DRAWN_ROWS = 10_000
"""Most rows by which candidates are added; what comes of it is judged on all."""


@dataclass(frozen=True)
class Answers:
    """What candidates answered to the same rows."""

    outputs: tuple[Array, ...]
    """Of each candidate: shape (n, n_classes) or (n,)."""
    mixing: Mixing
    start: tuple[int, ...]
    """Places of the candidates that are the ensemble to begin with."""
    parts: Array
    """Number of the part that each row is in: shape (n,)."""
    score: Score
    """From positions of rows and answers to those to a figure, more is better."""


@dataclass(frozen=True)
class Grown:
    """An ensemble that was chosen."""

    weights: Array
    """Of each candidate, shape (n_candidates,); they sum to 1."""
    honest: Array
    """Answer to each row by weights that were chosen without the row's part."""


def grow(answers: Answers, seed: int = 0) -> Grown:
    """Choose weights, and say what ensembles that are chosen so answer to rows they did not see.

    For each part of the rows, candidates are added by the other parts; the number of additions
    is the one that does best on the parts left out, none if none does better than the start.

    Parameters
    ----------
    answers : Answers
    seed : int
        Of the rows that are drawn where there are very many.
    """
    each = np.stack([scaled(one, answers.mixing) for one in answers.outputs])
    rows = _drawn(len(answers.parts), seed)
    numbers = np.unique(answers.parts)
    paths = {part: _path(answers, each, rows[answers.parts[rows] != part]) for part in numbers}
    held_out = [_without(answers, each, paths, steps) for steps in range(MOST_STEPS + 1)]
    every = np.arange(len(answers.parts))
    steps = int(np.argmax([answers.score(every, one) for one in held_out]))
    path = _path(answers, each, rows)
    counts = path[min(steps, len(path) - 1)]
    return Grown(counts / counts.sum(), held_out[steps])


def parts_of(n_rows: int, units: Any, seed: int) -> Array:
    """Number of the part that each row is in, at random; rows of one unit are in the same."""
    random = np.random.default_rng([seed, 3])
    codes = np.arange(n_rows) if units is None else np.asarray(units)
    drawn = random.permutation(int(codes.max()) + 1) % N_PARTS
    return np.asarray(drawn[codes])


def _drawn(n_rows: int, seed: int) -> Array:
    chosen = np.random.default_rng([seed, 4]).permutation(n_rows)[:_DRAWN_ROWS]
    return np.sort(chosen)


def _path(answers: Answers, each: Array, rows: Array) -> list[Array]:
    """How often each candidate was taken after each addition; first of all, the start."""
    counts = np.zeros(len(each), dtype=int)
    counts[list(answers.start)] = 1
    own = each[:, rows]
    path, best = [counts], answers.score(rows, unscaled(_mean(own, counts), answers.mixing))
    total = np.tensordot(counts, own, axes=1)
    for size in range(len(answers.start) + 1, len(answers.start) + 1 + MOST_STEPS):
        tried = [answers.score(rows, unscaled((total + one) / size, answers.mixing)) for one in own]
        taken = int(np.argmax(tried))
        if not tried[taken] > best:
            break
        best, total = tried[taken], total + own[taken]
        counts = counts + (np.arange(len(each)) == taken)
        path.append(counts)
    return path


def _mean(each: Array, counts: Array) -> Array:
    return np.asarray(np.tensordot(counts / counts.sum(), each, axes=1))


def _without(answers: Answers, each: Array, paths: dict[int, list[Array]], steps: int) -> Array:
    """Answer to every row by the ensemble of so many additions that was chosen without its part."""
    found = np.empty_like(each[0])
    for part, path in paths.items():
        held = answers.parts == part
        found[held] = _mean(each[:, held], path[min(steps, len(path) - 1)])
    return unscaled(found, answers.mixing)


def members(names: Sequence[str], weights: Array) -> dict[str, float]:
    """Weight of each candidate that has one, the greatest first."""
    pairs = sorted(zip(names, weights.tolist(), strict=True), key=lambda pair: -pair[1])
    return {name: weight for name, weight in pairs if weight > 0}
