"""What a candidate answers to rows that it was not fitted on, and what it costs.

Folds respect groups and time. Of many rows, one part is held out in place of folds.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from baton.bonds import NONE, Bonds
from baton.evaluation.validation import split_folds
from baton.lineage import lineage_of, with_lineage
from baton.models import FittedModel, bytes_of
from baton.models.answers import output_of
from baton.terms import Kind

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

    Array = np.ndarray[Any, np.dtype[Any]]
    Steps = list[tuple[Array, Array]]

FOLDS = 5
FOLDED_ROWS = 20_000
"""Most rows that are answered fold by fold; of more, one fold is held out."""

_MOST_REFIT = 0.5
"""Where nothing is folded a fit on all rows takes longer than the step, but few are fitted."""


@dataclass(frozen=True)
class Cost:
    """What a candidate takes."""

    seconds: float
    """To fit and to answer all folds."""
    fit_seconds: float
    """To fit once, the mean over the folds."""
    rows_per_second: float
    """Answered, by one fold's model."""
    n_bytes: int
    """Of one fold's model at rest."""


@dataclass(frozen=True)
class OutOfFold:
    """Answers to training rows by models that were not fitted on them."""

    rows: Array
    """Positions among the training rows, ascending."""
    output: Array
    """Probabilities of all classes of the training rows, or numbers."""
    cost: Cost

    def table(self, facts: dict[str, Any]) -> pa.Table:
        """Table of the answers: position, and a column for each class or the number."""
        import pyarrow as pa

        wide = self.output.reshape(len(self.rows), -1)
        columns = {f"output_{n}": pa.array(wide[:, n]) for n in range(wide.shape[1])}
        made = pa.table({"position": pa.array(self.rows), **columns})
        return with_lineage(made, facts | {"cost": asdict(self.cost)})

    @classmethod
    def of_table(cls, table: pa.Table) -> OutOfFold:
        """Answers of a table that :meth:`table` made."""
        cost = Cost(**lineage_of(table.schema)["cost"])
        wide = [table[name].to_numpy() for name in table.column_names[1:]]
        output = wide[0] if len(wide) == 1 else np.column_stack(wide)
        return cls(table["position"].to_numpy(), output, cost)


def steps_of(target: pd.Series, kind: Kind, seed: int, bonds: Bonds = NONE) -> Steps:
    """Positions to fit and to answer, step by step.

    Raises
    ------
    InputError
        If the rows, groups or times are too few.
    """
    folds = split_folds(target, kind, FOLDS, seed, bonds)
    if len(target) <= FOLDED_ROWS:
        return folds
    return [folds[0] if bonds.times is None else folds[-1]]  # the latest learns from most


def refit_part(n_rows: int) -> float:
    """Time of fitting the chosen on all rows, as a part of the time that all candidates took."""
    return 1 / (FOLDS - 1) if n_rows <= FOLDED_ROWS else _MOST_REFIT


def predict_out_of_fold(
    rows: pd.DataFrame,
    target: str,
    classes: Sequence[Any],
    steps: Steps,
    fit: Callable[[pd.DataFrame], FittedModel],
) -> OutOfFold:
    """Fit and answer step by step.

    Parameters
    ----------
    rows : DataFrame of shape (n, k + 1)
        Training rows, with the hidden columns by which they hang together.
    target : str
    classes : sequence
        Labels of all training rows in their order; empty for a regression.
    steps : list of (positions to fit, positions to answer)
    fit : callable
    """
    began, fitting, answering = time.perf_counter(), 0.0, 0.0
    outputs = []
    for learned, held in steps:
        start = time.perf_counter()
        model = fit(rows.iloc[learned])
        fitted = time.perf_counter()
        found = output_of(model, rows.iloc[held].drop(columns=target))
        outputs.append(_aligned(found, model.classes, classes))
        fitting, answering = fitting + fitted - start, answering + time.perf_counter() - fitted
    places = np.concatenate([held for _, held in steps])
    order = np.argsort(places, kind="stable")
    cost = Cost(
        seconds=time.perf_counter() - began,
        fit_seconds=fitting / len(steps),
        rows_per_second=len(places) / max(answering, 1e-9),
        n_bytes=_at_rest(model),
    )
    return OutOfFold(places[order], np.concatenate(outputs)[order], cost)


def _aligned(output: Array, known: Sequence[Any], classes: Sequence[Any]) -> Array:
    """Probabilities of all classes; those that a fold did not see have none."""
    if len(known) == len(classes):
        return output
    import pandas as pd

    wide = np.zeros((len(output), len(classes)))
    wide[:, pd.Index(list(classes)).get_indexer(pd.Index(list(known)))] = output
    return wide


def _at_rest(model: FittedModel) -> int:
    with tempfile.TemporaryDirectory() as folder:
        model.save(Path(folder))
        return bytes_of(Path(folder))
