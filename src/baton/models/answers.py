"""What a fitted model is asked and answers: rows as JSON can carry them, outputs as columns."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from baton.terms import Kind

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

    from baton.models.fitted import FittedModel

ACTUAL = "actual"
"""Column of what a row that was held out really is."""

PREDICTED = "predicted"
"""Column of a prediction: a label or a number."""

LOW = "low"
"""Column of a predicted number: lower end of its interval."""

HIGH = "high"
"""Column of a predicted number: upper end of its interval."""


def output_of(model: Any, table: pd.DataFrame) -> np.ndarray[Any, Any]:
    """Output of a fitted model.

    Parameters
    ----------
    model : FittedModel, or an estimator with its ``kind``
    table : DataFrame of shape (n_rows, ≥ n_features)

    Returns
    -------
    array of shape (n_rows, n_classes) or (n_rows,)
        Probabilities of the classes, or predicted numbers.
    """
    if model.kind is Kind.CLASSIFICATION:
        return np.asarray(model.predict_proba(table))
    return np.asarray(model.predict(table))


def answer(model: FittedModel, output: np.ndarray[Any, Any]) -> dict[str, pa.Array[Any]]:
    """Columns of a model's output: what it predicts, and the probability of each class.

    Of a number, the ends of its interval, `LOW` and `HIGH`, if the model knows them.
    """
    import pyarrow as pa

    if model.kind is not Kind.CLASSIFICATION:
        interval = model.deciding.interval
        ends = () if interval is None else interval.of(output)
        sides = dict(zip((LOW, HIGH), map(pa.array, ends), strict=False))
        return {PREDICTED: pa.array(output), **sides}
    proba = {f"p({label})": pa.array(output[:, n]) for n, label in enumerate(model.classes)}
    return {PREDICTED: pa.array(model.labels(output)), **proba}


def serving_example(example: pd.DataFrame) -> pd.DataFrame:
    """Return rows in the types that JSON can carry: numbers as float64, categories as text."""
    import pandas as pd

    columns = {}
    for name, values in example.items():
        if pd.api.types.is_bool_dtype(values.dtype):
            columns[name] = values
        elif pd.api.types.is_numeric_dtype(values.dtype):
            columns[name] = values.astype("float64")
        elif pd.api.types.is_datetime64_any_dtype(values.dtype):
            columns[name] = values.astype("datetime64[ns]")
        else:
            columns[name] = values.astype(object).where(values.notna(), None)
    return pd.DataFrame(columns, index=example.index)
