"""Shapley values as data: their scale, the table that they are kept in, the features' strength.

How they are found belongs in the modules beside this one.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

import numpy as np

from baton.lineage import lineage_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd
    import pyarrow as pa

    Array = np.ndarray[Any, np.dtype[Any]]


class Scale(StrEnum):
    """What base value and Shapley values of a row sum to."""

    MARGIN = "margin"
    """The model's raw output: log-odds, or a link function's argument."""
    PROBABILITY = "probability"
    """The class's probability."""
    VALUE = "value"
    """The predicted number, in the target's unit."""


class Method(StrEnum):
    """How the values were found."""

    TREE = "exact TreeSHAP"
    LINEAR = "exact linear"
    MEAN = "weighted mean of each member's exact values"
    ENUMERATED = "all subsets of the columns, over a background sample"
    SAMPLED = "permutations of the columns, over a background sample"


@dataclass(frozen=True)
class ShapValues:
    """Shapley values of rows; every row's sum, plus the base value, is the model's output."""

    values: Array
    """Shape (n_rows, n_features, n_outputs)."""
    base_values: Array
    """Shape (n_outputs,)."""
    features: tuple[str, ...]
    classes: tuple[Any, ...]
    """Label of each output, of two classes the second; empty where outputs are no classes."""
    scale: Scale = Scale.MARGIN
    method: Method = Method.TREE

    @classmethod
    def of_table(cls, table: pa.Table) -> ShapValues:
        """Shapley values of the table that an evaluation keeps, whose lineage names the scale."""
        facts = lineage_of(table.schema)
        scale, method = Scale(facts["scale"]), Method(facts["method"])
        return cls.of_frame(table.to_pandas(), scale=scale, method=method)

    @classmethod
    def of_frame(
        cls, lines: pd.DataFrame, row: str = "_row", *, scale: Scale, method: Method
    ) -> ShapValues:
        """Shapley values of a table that :meth:`frame` made."""
        labels = tuple(lines["_class"].drop_duplicates()) if "_class" in lines else ()
        n_outputs = len(labels) or 1
        own = [name for name in lines.columns if name not in {row, "_class", "_base_value"}]
        values = lines[own].to_numpy().reshape(-1, n_outputs, len(own))
        base = lines["_base_value"].to_numpy()[:n_outputs]
        names = tuple(_as_named(name) for name in own)
        return cls(np.moveaxis(values, 1, 2), base, names, labels, scale, method)

    def __repr__(self) -> str:
        n_rows, n_features, n_outputs = self.values.shape
        shape = f"{n_rows} rows, {n_features} features, {n_outputs} outputs"
        return f"ShapValues({shape}; {self.scale.value} scale, {self.method.value})"

    def frame(self, rows: Sequence[Any], row: str = "_row") -> pd.DataFrame:
        """One line per row and output, for a file.

        Parameters
        ----------
        rows : sequence of length n_rows
            Row ids.
        row : str
            The row id's column; ``_class`` (classification only) and ``_base_value`` follow it,
            then one column per feature; one that is called as these has an underscore more.
        """
        import pandas as pd

        n_rows, n_features, n_outputs = self.values.shape
        lines = np.moveaxis(self.values, 1, 2).reshape(n_rows * n_outputs, n_features)
        frame = pd.DataFrame(lines, columns=[_at_rest(name) for name in self.features])
        frame.insert(0, "_base_value", np.tile(self.base_values, n_rows))
        if self.classes:
            codes: Any = np.tile(np.arange(n_outputs), n_rows)
            labels = pd.Categorical.from_codes(codes, categories=pd.Index(list(self.classes)))
            frame.insert(0, "_class", pd.Series(labels))
        frame.insert(0, row, np.repeat(np.asarray(rows), n_outputs))
        return frame


_TAKEN = re.compile(r"_+(row|class|base_value)")


def _at_rest(name: str) -> str:
    """Name of a feature's column, beside those that the table has of its own."""
    return f"_{name}" if _TAKEN.fullmatch(name) else name


def _as_named(column: str) -> str:
    return column[1:] if _TAKEN.fullmatch(column) else column


def strongest(lines: pd.DataFrame) -> dict[str, float]:
    """Mean absolute Shapley value of every feature over all rows and classes, greatest first.

    Parameters
    ----------
    lines : DataFrame
        From :func:`global_importance`.
    """
    strength = lines.groupby("feature", sort=False)["mean_abs_shap"].mean()
    ordered = strength.sort_values(ascending=False, kind="stable")
    return {str(name): float(value) for name, value in ordered.items()}


def unit_of(scale: Scale, target: str) -> str:
    """What values of a scale are measured in, in words.

    Examples
    --------
    >>> unit_of(Scale.MARGIN, "y"), unit_of(Scale.VALUE, "y")
    ("the model's margin", "the unit of 'y'")
    """
    return {
        Scale.MARGIN: "the model's margin",
        Scale.PROBABILITY: "probability",
        Scale.VALUE: f"the unit of '{target}'",
    }[scale]


def global_importance(found: ShapValues) -> pd.DataFrame:
    """Mean absolute Shapley value of every feature.

    Returns
    -------
    DataFrame
        One line per feature and class, features by their mean over the classes, greatest first:
        ``feature``, ``class`` (None where outputs are no classes) and ``mean_abs_shap``, on the
        scale of the values.
    """
    import pandas as pd

    n_rows, n_features, n_outputs = found.values.shape
    strength = np.abs(found.values).sum(axis=0, dtype=np.float64) / max(n_rows, 1)
    order = np.argsort(-strength.mean(axis=1), kind="stable")
    labels = list(found.classes) or [None] * n_outputs
    return pd.DataFrame(
        {
            "feature": np.repeat(np.asarray(found.features, dtype=object)[order], n_outputs),
            "class": pd.Series(labels * n_features, dtype=None if found.classes else object),
            "mean_abs_shap": strength[order].reshape(-1),
        }
    )
