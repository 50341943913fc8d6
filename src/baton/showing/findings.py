"""What an evaluation found: all that its pictures and its report are made of.

What is drawn of it belongs in ``baton.showing.gallery``, what is said in ``baton.showing.builder``.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from baton.chain.events import Coverage, DatasetReady, DecisionThreshold, ModelRef
from baton.evaluation.importance import Importance
from baton.evaluation.measured import MetricLine
from baton.evaluation.shapley import ShapValues
from baton.models import FittedModel
from baton.relational.account import Relations, relations_of
from baton.showing.columns import ColumnLine
from baton.terms import ROW
from baton.warning import DataWarning

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    import pyarrow as pa


@dataclass(frozen=True)
class Findings:
    """What is known of one model on the rows held out."""

    data: DatasetReady
    reference: ModelRef
    model: FittedModel
    facts: dict[str, Any]
    """What the feature table says of itself: parameters, goal and the rest."""
    rows: pd.DataFrame
    """Rows held out: row id, features and target; a sample where the table is beyond memory."""
    output: np.ndarray[Any, Any]
    """The model's answer to them, probabilities or numbers, in their order."""
    lines: tuple[MetricLine, ...]
    permuted: Importance
    shap: ShapValues
    shap_global: pd.DataFrame
    """Mean |Shapley value| by feature and class."""
    shap_rows: frozenset[int]
    """Ids of the rows that have Shapley values."""
    leaderboard: pa.Table | None = None
    """Candidates that were compared, the best first."""
    trials: pa.Table | None = None
    """Trials of the search that found the hyperparameters."""
    champion: dict[str, float] | None = None
    """Scores of the model in use, if there is one."""
    coverage: Coverage | None = None
    """What the intervals of predicted numbers hold."""
    threshold: DecisionThreshold | None = None
    """From when on a row is said to be positive, if that was chosen."""
    warnings: tuple[DataWarning, ...] = ()
    """What a colleague would warn of, what matters most first."""
    columns: tuple[ColumnLine, ...] = ()
    """What each column was taken for."""

    @property
    def actual(self) -> pd.Series:
        """Target of the rows held out."""
        return self.rows[self.data.target]

    @property
    def is_sampled(self) -> bool:
        """Whether metrics are of more rows than are here."""
        return len(self.rows) < self.data.n_test

    @cached_property
    def explained(self) -> pd.DataFrame:
        """Rows that have Shapley values, in their order; the index is the place in `rows`."""
        rows = self.rows.reset_index(drop=True)
        return rows[rows[ROW].isin(self.shap_rows)]

    def features(self, rows: pd.DataFrame) -> pd.DataFrame:
        """Columns of these rows that the model saw."""
        return rows.drop(columns=[ROW, self.data.target])

    @property
    def relations(self) -> Relations | None:
        """Tables that the rows were made from, where they were."""
        return relations_of(self.facts.get("schema", {}))

    @property
    def values(self) -> dict[str, float]:
        """Value of each metric."""
        return {line.metric: line.value for line in self.lines}

    @property
    def intervals(self) -> dict[str, tuple[float, float]]:
        """95 % interval of each metric that has one."""
        return {line.metric: line.interval for line in self.lines if line.interval}

    @property
    def baseline(self) -> dict[str, float]:
        """Value of each metric for a model that ignores every column."""
        return {line.metric: line.baseline for line in self.lines if line.baseline is not None}
